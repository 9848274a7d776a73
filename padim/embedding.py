"""Feature maps -> the vectors of every level of a pyramid."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from padim import pyramid
from padim.grids import Grid, Level, ancestry, plan_levels
from padim.reduction import Projection, Reduction, make_reduction, principal_axes


def counted(reduction: Reduction, channels: Sequence[int]) -> Reduction:
    """What statistics have to hold for a reduction: its values, or all channels where it is learnt from them."""
    return make_reduction("none", channels) if reduction.learnt else reduction


class Embedding(nn.Module):
    """The reduced embeddings of some feature maps, each channel on the coarsest grid that knows it.

    Args:
        channels: of each feature map of the backbone.
        grids: height and width of each.
        maps: which of them are used.
        reduction: for the used ones.
        one_level: join everything on the finest grid.

    Attributes:
        plan: the levels, coarse to fine.
        sizes: of each level: positions, own channels, and own and coarser channels (P, d, D).
    """

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[Grid],
        maps: Sequence[int],
        reduction: Reduction,
        one_level: bool = False,
    ) -> None:
        super().__init__()
        self.shapes = [(c, *grid) for c, grid in zip(channels, grids, strict=True)]
        self.grids, self.maps = tuple(grids), tuple(maps)
        self.mixes, self.learnt = reduction.mixes, reduction.learnt
        self.projections = cast(Sequence[Projection], nn.ModuleList(map(Projection, reduction.matrices)))
        plan = plan_levels({m: grids[m] for m in maps})
        if one_level or reduction.mixes:
            plan = (Level(plan[-1].grid, sum((level.maps for level in plan), ())),)
        self.plan = plan
        for i in range(len(plan)):
            self.register_buffer(f"ancestry{i}", ancestry(plan, i), persistent=False)

    @property
    def widths(self) -> dict[int, int]:
        """How many values each feature map gives."""
        return {m: projection.matrix.shape[1] for m, projection in zip(self.maps, self.projections, strict=True)}

    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        sizes, total = [], 0
        for level in self.plan:
            widths = [self.widths[m] for m in level.maps]
            own = widths[0] if self.mixes else sum(widths)
            total += own
            sizes.append((level.positions, own, total))
        return sizes

    @property
    def ancestry(self) -> list[Tensor]:
        """For each level, (coarser levels, P): the coarser positions that cover each of its own."""
        return [getattr(self, f"ancestry{i}") for i in range(len(self.plan))]

    @property
    def matrices(self) -> dict[int, Tensor]:
        """The matrix (C_m, d_m) of each feature map that is used."""
        return {m: projection.matrix for m, projection in zip(self.maps, self.projections, strict=True)}

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Own vectors of each level on its own grid, (P_l, B, d_l), coarse to fine."""
        found = [tuple(feature.shape[1:]) for feature in features]
        if found != self.shapes:
            raise ValueError(
                f"feature maps are {found} (channels, height, width); this head was made for {self.shapes}"
            )
        vectors = {m: project(features[m]) for m, project in zip(self.maps, self.projections, strict=True)}
        return pyramid.own_vectors(vectors, self.grids, self.plan, self.mixes)

    def replicated(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Values of each level, (P_l, ...), at the positions of the finest grid, (P, ...)."""
        coarser = zip(values, self.ancestry[-1], strict=False)
        return [*(value.index_select(0, index) for value, index in coarser), values[-1]]

    def learn(self, scatter: Tensor, plan: Sequence[Level]) -> None:
        """Take the principal axes of a scatter matrix (D, D) whose channels are in the order of the plan."""
        maps = [m for level in plan for m in level.maps]
        matrices = self.matrices
        axes = principal_axes(str(self.learnt), scatter, matrices[maps[0]].shape[1])
        for m, rows in zip(maps, axes.split([len(matrices[m]) for m in maps]), strict=True):
            matrices[m].copy_(rows)

    def is_like(self, other: "Embedding") -> bool:
        """Whether both make the same values of the same feature maps, on whatever grid."""
        return (self.shapes, self.maps, self.mixes) == (other.shapes, other.maps, other.mixes) and all(
            mine.shape == its.shape and torch.equal(mine, its)
            for mine, its in zip(self.matrices.values(), other.matrices.values(), strict=True)
        )
