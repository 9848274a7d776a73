"""Several heads on the same feature maps, which may share statistics."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from padim import gaussian
from padim.counting import fold, merge
from padim.gaussian import NotPositiveDefiniteError
from padim.head import Head
from padim.reduction import Reduction
from padim.scoring import Prediction, image_score
from padim.statistics import Statistics


class HeadGroup(nn.Module):
    """Heads that change together: each of their statistics sees an image once."""

    @property
    def members(self) -> list[Head]:
        return [module for module in self.modules() if isinstance(module, Head)]

    @property
    def statistics(self) -> list[Statistics]:
        return [module for module in self.modules() if isinstance(module, Statistics)]

    @property
    def count(self) -> int:
        """How many images are in the statistics."""
        return int(self.statistics[0].count)

    @property
    def fitted(self) -> int:
        """How many images are in the whitening; 0 where that is out of date."""
        return min(int(head.fitted) for head in self.members)

    def update(self, features: Sequence[Tensor]) -> None:
        """Add a batch of images to the statistics; then :meth:`finalise` again."""
        fold(self.members, features, gaussian.update)

    def remove(self, features: Sequence[Tensor]) -> None:
        """Take images that went in out again; then :meth:`finalise` again."""
        fold(self.members, features, gaussian.remove)

    def merge(self, other: "HeadGroup") -> None:
        """Add the statistics of other heads, of other images; then :meth:`finalise` again."""
        merge(self.members, other.members)

    def finalise(self) -> None:
        """Turn the statistics into whitening rows."""
        for head in self.members:
            head.finalise()


class LayerSum(HeadGroup):
    """The sum of the anomaly maps of single layers (PaDiM, table I, "Layer 1+2+3").

    Each layer has Gaussians of its own on its own grid; the score is the maximum of the sum.
    """

    def __init__(self, layers: Sequence[Head]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, features: Sequence[Tensor]) -> Prediction:
        predictions = [layer(features) for layer in self.layers]
        anomaly_map = torch.stack([prediction.anomaly_map for prediction in predictions]).sum(0)
        distances = tuple(distance for prediction in predictions for distance in prediction.level_distances)
        return Prediction(image_score(anomaly_map), anomaly_map, distances)

    @property
    def level_inputs(self) -> list[tuple[int, ...]]:
        """For each level the feature maps that its channels come from."""
        return [maps for head in self.members for maps in head.level_inputs]

    def level_maps(self, prediction: Prediction) -> Tensor:
        """The anomaly maps of the layers, (B, L, H, W)."""
        pairs = zip(self.members, prediction.level_distances, strict=True)
        return torch.stack([head.smooth(distance) for head, distance in pairs], 1)

    def level_parts(self, prediction: Prediction, pixels: Tensor) -> Tensor:
        """The anomaly maps of the layers at one pixel of each image, (B, L)."""
        alone = [prediction._replace(level_distances=(distance,)) for distance in prediction.level_distances]
        return torch.cat([head.level_parts(one, pixels) for head, one in zip(self.members, alone, strict=True)], 1)


class Part(NamedTuple):
    """What one Gaussian model reads: some feature maps, reduced."""

    maps: tuple[int, ...]
    reduction: Reduction


def split(combine: str, maps: Sequence[int], reduction: Reduction) -> list[Part]:
    """The parts of a head of some feature maps.

    Args:
        combine: ``concat``: all maps joined, in one part. ``sum``: each map in a part of its own, coarse first.
        maps: which feature maps, fine to coarse.
        reduction: of their channels.
    """
    match combine:
        case "concat":
            return [Part(tuple(maps), reduction)]
        case "sum" if reduction.mixes:
            raise ValueError(
                "a sum of single layers takes no reduction that mixes layers; choose none, random or "
                "semi_orthogonal_blocks, or layers that are joined"
            )
        case "sum":
            pairs = zip(maps, reduction.matrices, strict=True)
            return [Part((m,), Reduction((matrix,))) for m, matrix in reversed(list(pairs))]
    raise ValueError(f"unknown layers.combine {combine!r}; known are concat, sum")


def build_head(combine: str, parts: Sequence[Part], make: Callable[..., Head]) -> Head | LayerSum:
    """The head of these parts, each made by ``make(maps=..., reduction=...)``."""
    heads = [make(maps=part.maps, reduction=part.reduction) for part in parts]
    return LayerSum(heads) if combine == "sum" else heads[0]


class Heads(HeadGroup):
    """Heads by name, fitted in one pass and scored in another."""

    def __init__(self, heads: Mapping[str, Head | LayerSum]) -> None:
        super().__init__()
        self.names = list(heads)  # a ModuleDict's keys bear no dots
        self.heads = nn.ModuleList(heads.values())

    def finalise(self) -> None:
        """Turn the statistics into whitening rows."""
        for name, head in zip(self.names, self.heads, strict=True):
            try:
                cast(Head | LayerSum, head).finalise()
            except NotPositiveDefiniteError as error:
                raise NotPositiveDefiniteError(f"the head {name}: {error}") from error

    def forward(self, features: Sequence[Tensor]) -> dict[str, Prediction]:
        return {name: head(features) for name, head in zip(self.names, self.heads, strict=True)}
