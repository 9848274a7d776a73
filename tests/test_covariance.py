"""Covariances from scatter matrices."""

import pytest
import torch
from sklearn.covariance import OAS

from padim.covariance import Covariance

IMAGES, D = 9, 6


@pytest.fixture
def embeddings() -> torch.Tensor:
    """(P, N, D)"""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(4, D, D, generator=generator, dtype=torch.float64)
    x = torch.randn(4, IMAGES, D, generator=generator, dtype=torch.float64) @ mixing
    return x - x.mean(1, keepdim=True)


@pytest.mark.parametrize("own", [1, 3, 6])
def test_sample_is_equation_1(embeddings: torch.Tensor, own: int) -> None:
    rows = Covariance("sample", eps=0.1).estimate((embeddings.mT @ embeddings)[:, -own:], IMAGES)
    for x, found in zip(embeddings, rows, strict=True):
        torch.testing.assert_close(found, (torch.cov(x.T) + 0.1 * torch.eye(D))[-own:])


@pytest.mark.parametrize("own", [1, 3, 6])
def test_diagonal(embeddings: torch.Tensor, own: int) -> None:
    rows = Covariance("diagonal", eps=0.1).estimate((embeddings.mT @ embeddings)[:, -own:], IMAGES)
    torch.testing.assert_close(rows, torch.diag_embed(embeddings.var(1) + 0.1)[:, -own:])


@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_oas_is_scikit_learns(embeddings: torch.Tensor, eps: float) -> None:
    found = Covariance("oas", eps=eps).estimate(embeddings.mT @ embeddings, IMAGES)
    for x, matrix in zip(embeddings, found, strict=True):
        expected = torch.from_numpy(OAS(assume_centered=True).fit(x.numpy()).covariance_)
        torch.testing.assert_close(matrix, expected + eps * torch.eye(D))


@pytest.mark.parametrize("scale", [0.3, 1, 2.7])
@pytest.mark.parametrize("size", [6, 7, 13])
def test_oas_of_what_is_spherical_already(size: int, scale: float) -> None:
    """The denominator of the shrinkage is 0, or by rounding a little less, which made it hugely negative."""
    scatter = 17 * scale * torch.eye(size)[None]
    torch.testing.assert_close(Covariance("oas", eps=0.0).estimate(scatter, 17), scale * torch.eye(size)[None])


@pytest.mark.parametrize("name", ["sample", "diagonal", "oas"])
def test_each_position_may_have_its_count(embeddings: torch.Tensor, name: str) -> None:
    scatter, covariance = embeddings.mT @ embeddings, Covariance(name)
    found = covariance.estimate(scatter, torch.tensor([9, 18, 27, 9]))
    for p, count in enumerate([9, 18, 27, 9]):
        torch.testing.assert_close(found[p], covariance.estimate(scatter[p : p + 1], count)[0])


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="needs at least 2 images, found 1"):
        Covariance().estimate(torch.zeros(1, 2, 2), 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "mcd"}, "unknown covariance 'mcd'; known are sample, diagonal, oas"),
        ({"eps": -1.0}, "eps is -1"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"pool": 2}, "pool is 2; it must be odd, 1 for none, or 'all'"),
        ({"pool": 0}, "pool is 0"),
        ({"pool": "both"}, "pool is 'both'"),
    ],
)
def test_impossible_choices(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Covariance(**wrong)
