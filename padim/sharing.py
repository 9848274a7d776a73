"""The heads of many configurations on the same feature maps, sharing statistics where that leaves less to count.

It makes the fit faster; the memory may be more, since only statistics of its own can a head write its whitening over.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from padim.cells import Cell
from padim.embedding import Embedding, counted
from padim.grids import Grid
from padim.head import Head
from padim.heads import Heads, LayerSum, Part, build_head, split
from padim.reduction import Reduction, make_reduction
from padim.statistics import Statistics


class HeadFactory:
    """Makes the heads of an ablation.

    Args:
        channels: channels of each feature map.
        grids: height and width of each feature map.
        stages: which stage of the backbone each feature map is.
        image_size: height and width of the anomaly maps.
        anomaly_map: sigma and interpolation.
    """

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[Grid],
        stages: Sequence[int],
        image_size: Grid,
        anomaly_map: Mapping[str, Any],
    ) -> None:
        self.channels, self.grids, self.stages = channels, grids, stages
        self.head = partial(Head, channels, grids, image_size, **anomaly_map)

    def make(self, cells: Sequence[Cell]) -> Heads:
        """The heads of the cells, by their names."""
        parts = {cell.name: self._parts(cell) for cell in cells}
        shared = self.shared_statistics([part for some in parts.values() for part in some])
        return Heads({cell.name: self._head(cell, parts[cell.name], shared) for cell in cells})

    def shared_statistics(self, parts: Sequence[Part]) -> Statistics | None:
        """Statistics of every channel that a part reads; None where the parts' own, together, are smaller."""
        used = [torch.zeros(size, dtype=torch.bool, device="cpu") for size in self.channels]
        for part in parts:
            for m, matrix in zip(part.maps, part.reduction.matrices, strict=True):
                used[m] |= matrix.any(1)  # NaN, of what is still to be learnt, is any
        maps = [m for m, kept in enumerate(used) if kept.any()]
        union = Reduction(tuple(torch.eye(self.channels[m], device="cpu")[:, used[m]] for m in maps))
        shared = Statistics(Embedding(self.channels, self.grids, maps, union), saved=False)
        served = [part for part in parts if shared.serves(part.maps, part.reduction.matrices)]
        alone = sum(self._own_statistics(part).nbytes for part in served)
        return shared if shared.nbytes < alone else None

    def _own_statistics(self, part: Part) -> Statistics:
        reduction = counted(part.reduction, [self.channels[m] for m in part.maps])
        return Statistics(Embedding(self.channels, self.grids, part.maps, reduction), saved=False)

    def _parts(self, cell: Cell) -> list[Part]:
        maps = [self.stages.index(stage) for stage in cell.stages]
        try:
            reduction = make_reduction(cell.reduction, [self.channels[m] for m in maps], cell.dim, cell.seed)
            return split(cell.combine, maps, reduction)
        except ValueError as error:
            raise ValueError(f"the head {cell.name} is impossible: {error}") from error

    def _head(self, cell: Cell, parts: Sequence[Part], shared: Statistics | None) -> Head | LayerSum:
        def make(maps: Sequence[int], reduction: Reduction) -> Head:
            serves = shared is not None and shared.serves(maps, reduction.matrices)
            return self.head(
                maps=maps,
                reduction=reduction,
                covariance=cell.estimate,
                save_state=serves,  # what is shared is not overwritten
                statistics=shared if serves else None,
            )

        return build_head(cell.combine, parts, make)
