"""Greedy k-centre: the choices of plain loops, and the theorem that makes it worth while."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from padim.baselines.coreset import Coreset, greedy_k_centre


def drawn(count: int, width: int, seed: int = 0, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) + offset


def squared(one: list[float], other: list[float]) -> float:
    return math.fsum((x - y) ** 2 for x, y in zip(one, other, strict=True))


def by_hand(rows: Tensor, count: int) -> list[int]:
    """The farthest from the mean, then always the farthest from all before."""
    points, mean = rows.tolist(), rows.mean(0).tolist()
    chosen = [max(range(len(points)), key=lambda i: squared(points[i], mean))]
    while len(chosen) < count:
        others = [i for i in range(len(points)) if i not in chosen]
        chosen.append(max(others, key=lambda i: min(squared(points[i], points[j]) for j in chosen)))
    return chosen


def radius(rows: Tensor, centres: tuple[int, ...]) -> float:
    """The largest distance of a row to the nearest centre."""
    return float(torch.cdist(rows, rows[list(centres)]).amin(1).max())


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_choices_are_those_of_plain_loops(offset: float) -> None:
    """However many are chosen, from how many candidates, in whatever chunks."""
    rows = drawn(40, 3, offset=offset)
    expected = by_hand(rows, 40)
    for count in (1, 2, 17, 40):
        for candidates, chunk in ((1, 1), (5, 7), (20, 10**6), (1000, 100)):
            assert greedy_k_centre(rows, count, candidates, chunk).tolist() == expected[:count]


def test_clusters_are_no_trap() -> None:
    """All candidates may lie side by side, so that one choice ends the pool."""
    rows = torch.cat([drawn(40, 2, seed) * 0.01 + 10 * seed for seed in range(5)])
    assert greedy_k_centre(rows, 12, candidates=40).tolist() == by_hand(rows, 12)


@pytest.mark.parametrize("seed", range(20))
def test_no_choice_is_twice_as_good(seed: int) -> None:
    """Gonzalez 1985, theorem 2.2, by trying all choices."""
    count, rows = 2 + seed % 3, drawn(10, 2, seed)
    best = min(radius(rows, centres) for centres in combinations(range(10), count))
    ours = radius(rows, tuple(greedy_k_centre(rows, count).tolist()))
    assert best <= ours <= 2 * best


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows, order = drawn(200, 5).float(), torch.randperm(200, generator=torch.Generator().manual_seed(1))
    chosen = Coreset(0.2, dim=3).choose(rows)
    assert torch.equal(order[Coreset(0.2, dim=3).choose(rows[order])], chosen)


def test_equal_rows_are_chosen_once_each() -> None:
    rows = drawn(4, 3).repeat(5, 1)
    chosen = greedy_k_centre(rows, 20)
    assert sorted(chosen.tolist()) == list(range(20))
    assert {place % 4 for place in chosen[:4].tolist()} == {0, 1, 2, 3}


def test_the_projection_keeps_distances() -> None:
    """Their squares have a relative standard deviation of (2 / dim)^1/2, here 0.125, and no bias."""
    rows = drawn(40, 1000).float()
    ratio = (torch.pdist(Coreset(dim=128).projected(rows)) / torch.pdist(rows)).square()
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert ratio.std() < 0.2
    assert torch.equal(Coreset(dim=128).projected(rows), Coreset(dim=128).projected(rows))
    assert not torch.equal(Coreset(dim=128).projected(rows), Coreset(dim=128, seed=1).projected(rows))


@pytest.mark.parametrize("dim", [None, 3, 4])
def test_short_rows_stay_as_they_are(dim: int | None) -> None:
    rows = drawn(5, 3)
    assert Coreset(dim=dim).projected(rows) is rows


@pytest.mark.parametrize(("fraction", "count"), [(1.0, 57), (0.1, 6), (0.01, 1), (1e-9, 1)])
def test_the_share_of_the_rows(fraction: float, count: int) -> None:
    assert len(set(Coreset(fraction).choose(drawn(57, 4)).tolist())) == count


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5, math.nan])
def test_a_share_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="it must be above 0 and at most 1"):
        Coreset(fraction)


def test_a_projection_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"coreset\.dim=0; it must be 1 or more, or null"):
        Coreset(dim=0)
