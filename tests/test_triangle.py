"""Products with triangular matrices are the products, however the blocks fall."""

import pytest
import torch

from padim.triangle import BLOCK, times_lower, times_upper


@pytest.mark.parametrize("channels", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_they_are_the_dense_products(channels: int, dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(channels)
    rows = torch.randn(3, 7, 2 * channels, dtype=torch.float64, generator=generator)[..., :channels]  # strided
    lower = torch.randn(3, channels, channels, dtype=torch.float64, generator=generator).tril()
    for found, expected in (
        (times_lower(rows.to(dtype), lower.to(dtype)), rows @ lower),
        (times_upper(rows.to(dtype), lower.mT.to(dtype)), rows @ lower.mT),
    ):
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance * max(1, channels))


def test_what_is_above_the_diagonal_is_not_all_read() -> None:
    """Which is the gain."""
    square = torch.full((1, 2 * BLOCK, 2 * BLOCK), torch.nan)
    square[:, BLOCK:], square[:, :, :BLOCK] = 1, 1
    assert times_lower(torch.ones(1, 2, 2 * BLOCK), square).isfinite().all()
    assert times_upper(torch.ones(1, 2, 2 * BLOCK), square.mT).isfinite().all()
