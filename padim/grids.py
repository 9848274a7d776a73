"""The grids of the pyramid: which feature maps make which levels, and which position covers which.

Replication is always direct to the finest grid, index floor(i size / finest) per axis: through another level it would
differ where grids do not nest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

Grid = tuple[int, int]
"""Height and width of a feature map."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid: a grid, and the feature maps whose channels it owns."""

    grid: Grid
    maps: tuple[int, ...]

    @property
    def positions(self) -> int:
        return self.grid[0] * self.grid[1]


def plan_levels(grids: Mapping[int, Grid]) -> tuple[Level, ...]:
    """Levels, coarse to fine, for feature maps of these grids.

    Maps of equal grids make one level. A level keeps its own grid if its position is a function of the next finer
    level's position; otherwise that finer level is folded into the finest one (which serves all, since replication is
    always direct to the finest grid).
    """
    by_grid = {grid: [m for m, g in grids.items() if g == grid] for grid in grids.values()}
    levels = [Level(grid, tuple(by_grid[grid])) for grid in sorted(by_grid, key=lambda g: g[0] * g[1])]
    finest = levels[-1].grid
    level = 0
    while level < len(levels) - 1:
        if _is_function(levels[level].grid, levels[level + 1].grid, finest):
            level += 1
        else:  # fold the finer one of the two; where that is the finest already, fold the coarser one into it
            folded = levels.pop(min(level + 1, len(levels) - 2))
            levels[-1] = Level(finest, folded.maps + levels[-1].maps)
            level = max(level - 1, 0)
    return tuple(levels)


def _is_function(coarse: Grid, fine: Grid, finest: Grid) -> bool:
    return all(
        c <= f and torch.equal(_axis_ancestor(c, f, n)[_nearest(f, n)], _nearest(c, n))
        for c, f, n in zip(coarse, fine, finest, strict=True)
    )


def _nearest(size: int, finest: int) -> Int[Tensor, " finest"]:
    """Index floor(i size / finest), as PyTorch's ``nearest``, in integers."""
    return torch.arange(finest, device="cpu") * size // finest


def _axis_ancestor(coarse: int, fine: int, finest: int) -> Int[Tensor, " fine"]:
    index = torch.zeros(fine, dtype=torch.long, device="cpu")
    index[_nearest(fine, finest)] = _nearest(coarse, finest)
    return index


def ancestors(coarse: Grid, fine: Grid, finest: Grid) -> Int[Tensor, " P"]:
    """For each position of the fine grid, row by row, the position of the coarse grid that covers it."""
    rows, columns = (_axis_ancestor(c, f, n) for c, f, n in zip(coarse, fine, finest, strict=True))
    return (rows[:, None] * coarse[1] + columns).flatten()


def ancestry(plan: Sequence[Level], level: int) -> Int[Tensor, "C P"]:
    """For each coarser level, coarse first, the position that covers each position of this level."""
    fine, finest = plan[level], plan[-1].grid
    tables = [ancestors(coarse.grid, fine.grid, finest) for coarse in plan[:level]]
    return torch.stack(tables) if tables else torch.empty(0, fine.positions, dtype=torch.long, device="cpu")


def children(parent: Int[Tensor, " P"]) -> Int[Tensor, "Q K"]:
    """The fine positions under each of Q coarse ones; where fewer than K, the first of them is repeated."""
    order = torch.argsort(parent, stable=True)
    counts = torch.bincount(parent)
    first = counts.cumsum(0) - counts
    slot = torch.arange(int(counts.max()), device=parent.device).expand(len(counts), -1)
    return order[first[:, None] + torch.where(slot < counts[:, None], slot, 0)]
