"""The structural similarity against plain loops over windows."""

import math

import pytest
import torch

from padim.baselines.ssim import ssim

C1, C2 = 0.01, 0.03


def drawn(seed: int, size: tuple[int, int] = (9, 12)) -> torch.Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_windows(one: torch.Tensor, other: torch.Tensor) -> float:
    """Of two lists of pixels, term by term."""
    p, q = one.flatten().tolist(), other.flatten().tolist()
    m, n = sum(p) / len(p), sum(q) / len(q)
    s = sum((x - m) ** 2 for x in p) / len(p)
    t = sum((y - n) ** 2 for y in q) / len(q)
    c = sum((x - m) * (y - n) for x, y in zip(p, q, strict=True)) / len(p)
    return (2 * m * n + C1) * (2 * c + C2) / ((m * m + n * n + C1) * (s + t + C2))


@pytest.mark.parametrize("window", [1, 3, 7])
def test_it_is_that_of_the_window_around_each_pixel(window: int) -> None:
    one, other = drawn(0), drawn(1)
    found, reach = ssim(one, other, window), window // 2
    for i in range(9):
        for j in range(12):
            rows, columns = slice(max(0, i - reach), i + reach + 1), slice(max(0, j - reach), j + reach + 1)
            for b in range(2):
                for channel in range(3):
                    p, q = (image[b, channel, rows, columns] for image in (one, other))
                    assert math.isclose(found[b, channel, i, j].item(), of_windows(p, q), rel_tol=1e-9)


def test_it_is_1_for_equal_images_and_less_for_others() -> None:
    one, other = drawn(0), drawn(1)
    torch.testing.assert_close(ssim(one, one, 5), torch.ones_like(one))
    torch.testing.assert_close(ssim(one, other, 5), ssim(other, one, 5))
    assert ssim(one, other, 5).max() < 1
    assert ssim(one, -other, 5).min() >= -1


def test_of_flat_images_it_compares_their_light_alone() -> None:
    black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    torch.testing.assert_close(ssim(black, white, 5), torch.full_like(black, C1 / (1 + C1)))


def test_float32_has_enough_digits() -> None:
    one, other = drawn(0, (32, 32)), drawn(1, (32, 32))
    torch.testing.assert_close(ssim(one.float(), other.float(), 11).double(), ssim(one, other, 11), atol=1e-5, rtol=0)
