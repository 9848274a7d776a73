"""The laws of squared Mahalanobis distances, against scipy.stats and against Gaussians that are drawn and fitted."""

import numpy as np
import pytest
from scipy import stats

from padim.chi_squared import chi_squared_quantiles, hotelling_above, hotelling_quantiles

PROBABILITIES = np.array([1e-3, 0.05, 0.5, 0.95, 0.999])


@pytest.mark.parametrize("channels", [1, 7, 100, 550])
def test_quantiles_are_those_of_scipy(channels: int) -> None:
    expected = stats.chi2(channels).ppf(PROBABILITIES)
    np.testing.assert_allclose(chi_squared_quantiles(PROBABILITIES, channels), expected, rtol=1e-10)


@pytest.mark.parametrize(("channels", "count"), [(1, 2), (5, 12), (100, 188)])
def test_hotelling_is_the_law_of_a_new_vector(channels: int, count: int) -> None:
    """5000 times: fit N vectors, and take the squared distance of one more."""
    rng = np.random.default_rng(0)
    draws = 5000 if channels < 100 else 300
    fitted = rng.normal(size=(draws, count, channels))
    new = rng.normal(size=(draws, channels)) - fitted.mean(1)
    centred = fitted - fitted.mean(1, keepdims=True)
    covariance = centred.swapaxes(1, 2) @ centred / (count - 1)
    squared = (new * np.linalg.solve(covariance, new[..., None])[..., 0]).sum(1)

    def law(values: np.ndarray) -> np.ndarray:
        return 1 - hotelling_above(np.asarray(values), channels, count)

    assert stats.kstest(squared, law).pvalue > 0.01
    assert stats.kstest(squared, stats.chi2(channels).cdf).pvalue < 1e-6


@pytest.mark.parametrize(("channels", "count"), [(3, 10), (100, 188)])
def test_above_undoes_the_quantiles(channels: int, count: int) -> None:
    quantiles = hotelling_quantiles(PROBABILITIES, channels, count)
    np.testing.assert_allclose(hotelling_above(quantiles, channels, count), 1 - PROBABILITIES, rtol=1e-8)


def test_with_images_without_end_it_is_the_chi_squared() -> None:
    expected = chi_squared_quantiles(PROBABILITIES, 100)
    np.testing.assert_allclose(hotelling_quantiles(PROBABILITIES, 100, 10**8), expected, rtol=1e-4)


def test_it_takes_more_images_than_channels() -> None:
    with pytest.raises(ValueError, match="100 images give no invertible covariance of 100 channels"):
        hotelling_quantiles(PROBABILITIES, 100, 100)
