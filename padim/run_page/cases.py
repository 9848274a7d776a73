"""Single images of a page: what the model got wrong, or almost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image

from padim.data.samples import ImageDataset
from padim.method import Method
from padim.predict.colours import Scale
from padim.predict.decision import Decision
from padim.predict.placement import Map
from padim.run_page.pictures import outlined, part, plain, under
from padim.run_page.rescoring import Rescored, rescored

COUNT = 4
"""Of each sort."""


class Case(NamedTuple):
    """One image.

    Attributes:
        name: its path from the data set's root.
        shares: what each level contributes to the peak of the map, of 1; empty where there are no levels.
        picture: with the outline of the anomalous pixels, where they are known.
        heat: under its anomaly map; None where the method has none.
        parts: the maps of the levels.
    """

    name: str
    kind: str
    score: float
    p_value: float | None
    alarm: bool | None
    mask_known: bool
    shares: dict[str, float]
    picture: Image.Image
    heat: Image.Image | None
    parts: list[Image.Image]

    @property
    def level(self) -> str | None:
        """The one that contributes most."""
        return max(self.shares, key=self.shares.__getitem__, default=None)


class Seen(NamedTuple):
    """What a model sees of an image, from which padding is cut off.

    Attributes:
        image, mask: (3, h, w) and (h, w).
        anomaly_map, level_maps: (h, w) and (L, h, w). Padding that is left, of a turned image, is -infinity and 0.
    """

    image: torch.Tensor
    mask: torch.Tensor
    anomaly_map: Map
    level_maps: Map


def worst(scores: Mapping[int, float], labels: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """The lowest scores of anomalous images, and the highest of normal ones: whatever is on the wrong side comes first.

    Args:
        scores, labels: of the images, by their indices; 1 is anomalous.
    """
    ranking = sorted(scores, key=lambda index: (scores[index], index))
    anomalous = [index for index in ranking if labels[index]]
    normal = [index for index in ranking if not labels[index]]
    return anomalous[:COUNT], normal[::-1][:COUNT]


def explain(
    module: Method,
    dataset: ImageDataset,
    scores: Mapping[int, float],
    chosen: Sequence[int],
    decision: Decision,
    batch_size: int,
) -> dict[int, Case]:
    """The chosen images by their indices; colours mean the same in all overlays.

    Args:
        scores: that the test gave.
    """
    seen = [one for batch in rescored(module, dataset, chosen, batch_size) for one in _seen(batch)]
    of_maps = decision if module.peak else Decision(None, None)  # a threshold of scores is one of maps only then
    scale = Scale.of(of_maps, max((float(one.anomaly_map.max()) for one in seen), default=0.0))
    pairs = zip(chosen, seen, strict=True)
    return {index: _case(dataset, index, scores[index], one, module, decision, scale) for index, one in pairs}


def _seen(batch: Rescored) -> Iterator[Seen]:
    maps = batch.prediction.anomaly_map.float(), batch.level_maps.float()
    for item, anomaly_map, level_maps in zip(batch.items, *maps, strict=True):
        window = tuple(_extent(item.valid.any(axis)) for axis in (1, 0))
        anomaly_map = anomaly_map.masked_fill(~item.valid, -torch.inf)[window].numpy()
        level_maps = level_maps.masked_fill(~item.valid, 0)[:, *window].numpy()
        yield Seen(item.image[:, *window], item.mask[window], anomaly_map, level_maps)


def _extent(inside: torch.Tensor) -> slice:
    """From the first to the last."""
    places = inside.nonzero()
    return slice(int(places[0]), int(places[-1]) + 1)


def _case(
    dataset: ImageDataset,
    index: int,
    score: float,
    seen: Seen,
    module: Method,
    decision: Decision,
    scale: Scale,
) -> Case:
    sample, picture = dataset.samples[index], plain(seen.image)
    row, column = peak_of(seen.anomaly_map)
    highest = float(seen.anomaly_map[row, column])
    shares = seen.level_maps[:, row, column] / (highest or 1)
    return Case(
        name=sample.name(dataset.root),
        kind=sample.kind,
        score=score,
        p_value=decision.p_value(score),
        alarm=decision.alarm(score),
        mask_known=sample.mask_known,
        shares=dict(zip(module.levels, shares.tolist(), strict=True)),
        picture=outlined(picture, seen.mask),
        heat=under(picture, seen.anomaly_map, (row, column), scale) if module.localises else None,
        parts=[part(level, highest, picture.size) for level in seen.level_maps],
    )


def peak_of(seen: Map) -> tuple[int, int]:
    """Row and column of the highest value."""
    row, column = divmod(int(seen.argmax()), seen.shape[1])
    return row, column
