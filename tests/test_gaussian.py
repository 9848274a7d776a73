"""The moments are a commutative, cancellative monoid, within the bounds of float32."""

import itertools

import pytest
import torch
from torch import Tensor

from padim import gaussian
from padim.gaussian import Moments
from tests import reference

P, OWN, D, EPS = 3, 3, 7, 0.01


def embeddings(count: int, seed: int = 0) -> Tensor:
    """(P, N, D) with different variances, means and correlations; one channel is constant, as many are in practice."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(P, D, D, generator=generator) * torch.logspace(-2, 1, D)
    x = torch.randn(P, count, D, generator=generator) @ mixing + 5 * torch.randn(P, 1, D, generator=generator)
    x[..., 4] = 2.5
    return x


def fold(*batches: Tensor) -> Moments:
    moments = gaussian.identity(P, OWN, D)
    for batch in batches:
        moments = gaussian.update(moments, batch)
    return moments


def assert_moments_of(moments: Moments, x: Tensor, bound: float = 1e-5, against: Tensor | None = None) -> None:
    """Errors of a scatter are relative to sqrt((S_ii + (n-1) eps) (S_jj + (n-1) eps)), of a mean to the deviation.

    S and n are those of ``against``: the larger state where images were removed, else the state itself.
    """
    mean, scatter = reference.moments(x.double())
    whole = x if against is None else against
    _, largest = reference.moments(whole.double())
    spread = (largest.diagonal(dim1=-2, dim2=-1) + (whole.shape[1] - 1) * EPS).sqrt()  # (P, D)
    assert moments.count == x.shape[1]
    assert ((moments.scatter - scatter[:, -OWN:]).abs() / (spread[:, -OWN:, None] * spread[:, None])).max() < bound
    assert ((moments.mean - mean).abs() / (spread / (whole.shape[1] - 1) ** 0.5)).max() < bound


@pytest.mark.parametrize("sizes", [(40,), (1,) * 40, (1, 39), (39, 1), (7, 32, 1), (20, 20)])
def test_any_split_gives_the_same_state(sizes: tuple[int, ...]) -> None:
    x = embeddings(40)
    assert_moments_of(fold(*x.split(sizes, 1)), x)


def test_any_order_gives_the_same_state() -> None:
    x = embeddings(24)
    for order in itertools.islice(itertools.permutations(x.split(6, 1)), 24):
        assert_moments_of(fold(*order), x)


@pytest.mark.parametrize("tree", ["((ab)(cd))", "(((ab)c)d)", "(a(b(cd)))", "((da)(cb))"])
def test_any_merge_tree_gives_the_same_state(tree: str) -> None:
    x = embeddings(50)
    stack: list[Moments] = []
    parts = dict(zip("abcd", x.split((1, 9, 20, 20), 1), strict=True))
    for symbol in tree:
        if symbol in parts:
            stack.append(fold(parts[symbol]))
        elif symbol == ")":
            right = stack.pop()
            stack.append(gaussian.merge(stack.pop(), right))
    assert_moments_of(stack.pop(), x)


@pytest.mark.parametrize("sizes", [(40,), (20, 20), (1, 39), (0, 40), (13, 0, 26, 1), (0, 0, 40)])
def test_moments_about_the_common_mean_add_up(sizes: tuple[int, ...]) -> None:
    """What ranks do, some of which may have no image."""
    x = embeddings(40)
    parts = [fold(part) for part in x.split(sizes, 1)]
    mean = torch.stack([part.mean.nan_to_num() * part.count / 40 for part in parts]).sum(0)
    scatter = torch.stack([gaussian.recentre(part, mean).scatter for part in parts]).sum(0)
    assert_moments_of(Moments(40, mean, scatter), x)


def test_the_identity_changes_nothing() -> None:
    x = embeddings(10)
    assert_moments_of(gaussian.merge(fold(x), gaussian.identity(P, OWN, D)), x)
    assert_moments_of(gaussian.merge(gaussian.identity(P, OWN, D), fold(x)), x)
    assert gaussian.merge(gaussian.identity(P, OWN, D), gaussian.identity(P, OWN, D)).count == 0


def test_merging_leaves_the_other_state_alone() -> None:
    x, y = embeddings(10), embeddings(12, seed=1)
    other = fold(y)
    gaussian.update(gaussian.merge(gaussian.identity(P, OWN, D), other), x)
    assert_moments_of(other, y)


@pytest.mark.parametrize("removed", [1, 8, 39])
def test_update_then_remove_returns_to_the_state_before(removed: int) -> None:
    x = embeddings(40)
    moments = gaussian.remove(fold(x), x[:, :removed])
    assert_moments_of(moments, x[:, removed:], against=x)


def test_removing_everything_gives_the_identity() -> None:
    x, y = embeddings(6), embeddings(9, seed=1)
    moments = gaussian.remove(fold(x), x)
    assert moments.count == 0
    assert_moments_of(gaussian.update(moments, y), y)


def test_removing_more_than_went_in_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot remove 3 images from the statistics of 2"):
        gaussian.remove(fold(embeddings(2)), embeddings(3))


def test_the_mean_may_be_far_from_zero() -> None:
    """Raw moments in float32 would lose every digit here."""
    x = embeddings(64) + 1000
    assert_moments_of(fold(*x.split(8, 1)), x, bound=1e-4)  # the inputs themselves have lost three digits


@pytest.mark.parametrize(("updates", "bound"), [(10_000, 1e-5), pytest.param(100_000, 5e-5, marks=pytest.mark.slow)])
def test_many_single_updates(updates: int, bound: float) -> None:
    x = embeddings(updates)
    assert_moments_of(fold(*x.split(1, 1)), x, bound)


@pytest.mark.slow
def test_ten_thousand_removals() -> None:
    x = embeddings(20_000)
    moments = fold(x)
    for batch in x[:, :10_000].split(1, 1):
        moments = gaussian.remove(moments, batch)
    assert_moments_of(moments, x[:, 10_000:], against=x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("own", [0, 1, 3, 7])
def test_whitening_rows_are_those_of_the_inverse_cholesky_factor(own: int, dtype: torch.dtype) -> None:
    x = embeddings(20)[:, :, torch.randperm(D, generator=torch.Generator().manual_seed(1))].double()
    _, scatter = reference.moments(x)
    sigma = scatter / 19 + EPS * torch.eye(D)
    inverse = torch.linalg.inv(torch.linalg.cholesky(sigma))
    rows, failed = gaussian.whiten(
        sigma[:, None, D - own :].to(dtype), inverse[:, : D - own, : D - own].contiguous().to(dtype)
    )
    assert not failed.any()
    torch.testing.assert_close(rows[:, 0].double(), inverse[:, D - own :], rtol=0, atol=10 * reference.RTOL[dtype])
