"""Which levels a pyramid has, and who covers whom."""

import itertools

import pytest
import torch

from padim.grids import Grid, Level, ancestors, children, plan_levels
from tests.reference import GRIDS, replicate


@pytest.mark.parametrize(
    ("sizes", "levels"),
    [
        ((56, 28, 14), [(14, (2,)), (28, (1,)), (56, (0,))]),
        ((57, 28, 14), [(14, (2,)), (28, (1,)), (57, (0,))]),
        ((75, 38, 19), [(19, (2,)), (38, (1,)), (75, (0,))]),
        ((57, 29, 15), [(15, (2,)), (57, (1, 0))]),  # 15 is no function of 29, so 29 is folded into 57
        ((56, 14, 14), [(14, (1, 2)), (56, (0,))]),
        ((14, 14, 14), [(14, (0, 1, 2))]),
        ((14,), [(14, (0,))]),
        ((64, 57, 29, 15), [(15, (3,)), (57, (1,)), (64, (2, 0))]),  # but it is one of 57
        ((14, 28, 56), [(14, (0,)), (28, (1,)), (56, (2,))]),  # maps in any order
    ],
)
def test_levels(sizes: tuple[int, ...], levels: list[tuple[int, tuple[int, ...]]]) -> None:
    plan = plan_levels({m: (size, size) for m, size in enumerate(sizes)})
    assert list(plan) == [Level((size, size), maps) for size, maps in levels]


def test_a_map_that_is_larger_on_one_axis_is_folded() -> None:
    assert plan_levels({0: (8, 8), 1: (4, 10)}) == (Level((8, 8), (1, 0)),)


@pytest.mark.parametrize("grids", GRIDS)
def test_ancestors_replicate_directly_to_the_finest_grid(grids: tuple[Grid, ...]) -> None:
    plan = plan_levels(dict(enumerate(grids)))
    finest = plan[-1].grid
    for level in plan:
        number = torch.arange(level.positions).view(1, 1, *level.grid)
        direct = replicate(number, finest).flatten()
        torch.testing.assert_close(ancestors(level.grid, finest, finest), direct)
        for finer in plan[plan.index(level) :]:
            through = ancestors(level.grid, finer.grid, finest)[ancestors(finer.grid, finest, finest)]
            torch.testing.assert_close(through, direct)


@pytest.mark.parametrize("grids", GRIDS)
def test_every_position_is_a_child_of_its_parent(grids: tuple[Grid, ...]) -> None:
    plan = plan_levels(dict(enumerate(grids)))
    for coarse, fine in itertools.pairwise(plan):
        parent = ancestors(coarse.grid, fine.grid, plan[-1].grid)
        groups = children(parent)
        assert len(groups) == coarse.positions
        assert set(groups.flatten().tolist()) == set(range(fine.positions))
        torch.testing.assert_close(parent[groups], torch.arange(coarse.positions)[:, None].expand(groups.shape))
