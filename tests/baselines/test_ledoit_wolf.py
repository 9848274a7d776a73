"""Ledoit & Wolf's covariance from sums: that of scikit-learn, whatever the parts, with all its digits."""

from functools import reduce

import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from padim.baselines.ledoit_wolf import Moments, covariance, merge, moments_of

SHAPES = [(3, 5), (7, 30), (40, 5), (50, 2), (6, 1)]


def drawn(count: int, width: int, offset: float = 0.0) -> Tensor:
    """Correlated, skewed and of unlike variances."""
    generator = torch.Generator().manual_seed(count)
    mix = torch.randn(width, width, generator=generator, dtype=torch.float64)
    return torch.randn(count, width, generator=generator, dtype=torch.float64).exp() @ mix + offset


def in_parts(vectors: Tensor, parts: int) -> Moments:
    return reduce(merge, map(moments_of, vectors.tensor_split(parts)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("parts", [1, 2, 3, None])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_it_is_that_of_scikit_learn(shape: tuple[int, int], parts: int | None, offset: float) -> None:
    vectors = drawn(*shape, offset)
    expected = LedoitWolf().fit(vectors.numpy())
    moments = in_parts(vectors, parts or len(vectors))
    torch.testing.assert_close(moments.mean, torch.from_numpy(expected.location_), rtol=1e-12, atol=0)
    ours, scale = covariance(moments), float(abs(expected.covariance_).max())
    torch.testing.assert_close(ours, torch.from_numpy(expected.covariance_), rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_order_of_merging_changes_nothing(shape: tuple[int, int]) -> None:
    """A commutative semigroup: sums about the common mean."""
    vectors = drawn(*shape)
    a, b, c = map(moments_of, vectors.tensor_split(3))
    for merged in (merge(merge(a, b), c), merge(a, merge(b, c)), merge(c, merge(b, a))):
        for name, value in vars(moments_of(vectors)).items():
            torch.testing.assert_close(torch.as_tensor(getattr(merged, name)), torch.as_tensor(value))


def test_far_from_the_origin_the_digits_stay() -> None:
    """Plain sums of |x|^4 would keep none: 1e24 against spreads of 1."""
    vectors = drawn(30, 4)
    near, far = covariance(in_parts(vectors, 10)), covariance(in_parts(vectors + 1e6, 10))
    torch.testing.assert_close(far, near, rtol=1e-7, atol=1e-7)


def test_a_multiple_of_the_identity_stays_one() -> None:
    """Whose shrinkage is 0 / 0."""
    vectors = 3 * torch.cat([torch.eye(4), -torch.eye(4)]).double()
    torch.testing.assert_close(covariance(moments_of(vectors)), 9 / 4 * torch.eye(4).double(), rtol=1e-12, atol=1e-12)
