"""Up-sampling and smoothing as one matrix per axis."""

import re

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from padim import scoring


@pytest.mark.parametrize("interpolation", scoring.INTERPOLATIONS)
@pytest.mark.parametrize(
    ("grid", "size", "sigma"),
    [((56, 56), (224, 224), 4.0), ((57, 29), (225, 113), 4.0), ((7, 5), (16, 40), 9.0), ((8, 8), (8, 8), 0.5)],
)
def test_equal_to_interpolating_and_then_filtering(
    grid: tuple[int, int], size: tuple[int, int], sigma: float, interpolation: str
) -> None:
    distances = torch.rand(2, *grid, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    up = functional.interpolate(distances[:, None], size, mode=interpolation, align_corners=False)[:, 0]
    expected = np.stack([gaussian_filter(image, sigma) for image in up.numpy()])  # reflect, truncated at 4 sigma
    rows, columns = (scoring.smoothing_matrix(n, g, sigma, interpolation) for n, g in zip(size, grid, strict=True))
    np.testing.assert_allclose(scoring.anomaly_map(distances, rows, columns).numpy(), expected, rtol=0, atol=1e-13)


def test_without_smoothing_it_is_the_interpolation() -> None:
    distances = torch.rand(1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = scoring.smoothing_matrix(24, 6, 0.0, "bicubic")
    expected = functional.interpolate(distances[None], (24, 24), mode="bicubic")[0]
    torch.testing.assert_close(scoring.anomaly_map(distances, matrix, matrix), expected)


def test_a_constant_map_stays_constant() -> None:
    matrix = scoring.smoothing_matrix(224, 56, 4.0, "bicubic")
    torch.testing.assert_close(matrix.sum(1), torch.ones(224, dtype=torch.float64))


def test_the_score_is_the_maximum_of_the_smoothed_map() -> None:
    maps = torch.tensor([[[1.0, 5.0], [2.0, 3.0]], [[-1.0, -5.0], [-2.0, -3.0]]])
    assert scoring.image_score(maps).tolist() == [5.0, -1.0]


def test_bad_values() -> None:
    with pytest.raises(ValueError, match="unknown interpolation 'nearest'; known are bicubic, bilinear"):
        scoring.smoothing_matrix(8, 4, 4.0, "nearest")
    for sigma in (-1.0, 8.5, 1e40, float("nan")):
        with pytest.raises(ValueError, match=f"sigma is {re.escape(str(sigma))} pixels; .* to 8, the side"):
            scoring.smoothing_matrix(8, 4, sigma, "bicubic")
