"""What a model finds in images."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from padim.data.scaling import Scaling
from padim.export.facts import Facts
from padim.export.predictor import Predictor
from padim.predict.decision import Decision
from padim.predict.images import Broken, Images, Item, batches
from padim.predict.placement import Map, Placement
from padim.predict.regions import find_regions


class Finding(NamedTuple):
    """An image, predicted.

    Attributes:
        record: plain values; see :func:`record_of`.
        seen: anomaly map of what the model sees of the image, on its own grid.
        level_maps: (L, h, w) the parts that add up to it, coarse first.
        placement: of that in the image.
        picture: the image, where pictures were asked for.
    """

    record: dict[str, Any]
    seen: Map
    level_maps: Map
    placement: Placement
    picture: Image.Image | None


Found = tuple[list[Finding], list[Broken]]
"""What a batch gives."""


def findings(
    predictor: Predictor,
    decision: Decision,
    paths: Sequence[str],
    pictures: bool,
    batch_size: int,
    num_workers: int | None,
) -> Iterator[Found]:
    """Batch for batch, what is found in its images, and which of them give nothing. Few batches are in memory at once.

    Args:
        predictor: the model; what it was fitted to says how the images are prepared.
        decision: says what is an alarm.
        paths: of the images, absolute.
        pictures: keep a picture of each, to draw on.
        batch_size, num_workers: images at once, and processes that read them; None: threads.
    """
    facts = predictor.facts
    scaling = Scaling(facts.resize, facts.interpolation, facts.keep_aspect)
    images = Images(paths, scaling, facts.image_size, pictures)
    for items, broken in batches(images, batch_size, num_workers):
        found: list[Finding] = []
        if items:
            scored = predictor.predict(torch.from_numpy(np.stack([item.image for item in items])))
            maps = zip(items, scored.anomaly_map.float().numpy(), scored.level_maps.float().numpy(), strict=True)
            for (item, anomaly_map, level_maps), score in zip(maps, scored.score.tolist(), strict=True):
                one = _found(item, score, anomaly_map, level_maps, facts, decision)
                if isinstance(one, Broken):
                    broken.append(one)
                else:
                    found.append(one)
        yield found, broken


def _found(
    item: Item, score: float, anomaly_map: Map, level_maps: Map, facts: Facts, decision: Decision
) -> Finding | Broken:
    place = item.placement
    seen, parts = place.seen(anomaly_map), place.seen(level_maps)  # padding counts nowhere
    record = record_of(item, score, seen, parts, facts, decision)
    if not math.isfinite(record["score"]):
        return Broken(item.path, f"its score is {record['score']}: the model or its weights are broken")
    return Finding(record, seen, parts, place, item.picture)


def record_of(item: Item, score: float, seen: Map, level_maps: Map, facts: Facts, decision: Decision) -> dict[str, Any]:
    """What is said of an image, as JSON takes it; all coordinates are pixels of the image as it is shown.

    ``score`` is the highest value of the map, at ``peak`` [x, y]; ``shares`` is what each level contributes there, of
    1, and ``level`` the one that contributes most, "" where there are no levels. Each of the ``regions`` above the
    threshold has ``box`` [x, y, width, height], ``area``, ``peak`` and ``score``; they are found where the map is made,
    on the model's grid, so that there is one exactly where there is an ``alarm``. ``window`` is the box that the model
    sees: all, but for a crop.

    Of a method whose score is not the highest value of the map the threshold is none of the map: ``regions`` is None.
    Of one whose map does not say where an image is anomalous, so is ``peak``.

    Args:
        item: the image.
        score: that the model gives; where it is the highest value of the map, that of what is seen counts instead.
        seen: (h, w) the anomaly map of what the model sees of it.
        level_maps: (L, h, w) the parts that add up to it.
        facts: of the model.
        decision: says what is an alarm.
    """
    place, peak = item.placement, np.unravel_index(int(seen.argmax()), seen.shape)
    row, column = map(int, peak)
    highest = float(seen[row, column])
    parts = dict(zip(facts.levels, (level_maps[:, row, column] / (highest or 1)).tolist(), strict=True))
    score = highest if facts.peak else score
    return {
        "path": item.path,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "width": place.columns.original,
        "height": place.rows.original,
        "window": place.window,
        "score": score,
        "p_value": decision.p_value(score),
        "alarm": decision.alarm(score),
        "peak": place.point(row, column) if facts.localises else None,
        "level": max(parts, key=parts.__getitem__, default=""),
        "shares": {name: round(part, 4) for name, part in parts.items()},
        "regions": _regions(seen, place, decision.threshold) if facts.peak else None,
    }


def _regions(seen: Map, place: Placement, threshold: float | None) -> list[dict[str, Any]]:
    found = [] if threshold is None else find_regions(seen, threshold)
    return [
        {
            "box": place.box(one.rows, one.columns),
            "area": place.area(one.pixels),
            "peak": place.point(*one.peak),
            "score": one.score,
        }
        for one in found
    ]
