"""Conformal thresholds: the rate that they promise, and what they say with too few images."""

import math

import pytest
import torch

from padim.calibration import Calibration, images_needed
from padim.export.comparison import drawn_images
from tests.export.models import FITTED, SIZE, SMALL, fitted


def calibration(scores: list[float], alpha: float) -> Calibration:
    return Calibration(scores, alpha, "held_out", fitted=100)


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.3, 3), (0.5, 1), (0.001, 999)])
def test_so_many_images_are_needed(alpha: float, needed: int) -> None:
    assert images_needed("held_out", alpha) == needed
    scores = [float(n) for n in range(needed)]
    assert calibration(scores, alpha).threshold == max(scores)
    with pytest.raises(ValueError, match=f"needs {needed} calibration images, found {needed - 1}, 1 too few: add"):
        calibration(scores[1:], alpha)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("count", [99, 100, 137, 400])
def test_the_rate_over_many_splits_is_at_most_alpha(alpha: float, count: int) -> None:
    """2000 draws of calibration images and as many new ones; the exact rate of a continuous score is known as well."""
    generator = torch.Generator().manual_seed(count)
    draws, new = 2000, 50
    scores = torch.randn(draws, count + new, generator=generator).exp()
    alarms = [(row[count:] > calibration(row[:count].tolist(), alpha).threshold).float().mean() for row in scores]
    rate = torch.stack(alarms)
    exact = 1 - math.ceil((count + 1) * (1 - alpha) - 1e-9) / (count + 1)
    error = rate.std() / draws**0.5
    assert exact <= alpha + 1e-12
    assert abs(rate.mean() - exact) < 4 * error


@pytest.mark.parametrize("alpha", [0.05, 0.1, 1 / 3, 0.7])
def test_an_alarm_is_a_small_p_value(alpha: float) -> None:
    """With ties as well."""
    scores = torch.randint(0, 15, (41,), generator=torch.Generator().manual_seed(0)).tolist()
    calibrated = calibration([float(score) for score in scores], alpha)
    for doubled in range(-2, 32):
        score = doubled / 2
        assert (calibrated.p_value(score) <= alpha) == (score > calibrated.threshold)


def test_p_values() -> None:
    calibrated = calibration([1.0, 2.0, 2.0, 3.0], 0.5)
    assert [calibrated.p_value(score) for score in (0.5, 1.0, 2.0, 2.5, 3.5)] == [1.0, 1.0, 0.8, 0.4, 0.2]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_impossible_rates(alpha: float) -> None:
    with pytest.raises(ValueError, match="a false-alarm rate must be above 0 and below 1"):
        calibration([1.0] * 100, alpha)


def test_an_unknown_source() -> None:
    with pytest.raises(ValueError, match=r"unknown calibration.source=guess; known are held_out, leave_one_out"):
        Calibration([1.0] * 100, 0.05, "guess", fitted=100)


def test_as_many_other_images_void_it() -> None:
    """A model that had exchanged images kept the threshold of those before; exchanged back, it is theirs."""
    module, old, new = fitted(**SMALL), drawn_images(FITTED, SIZE, seed=100)[:1], drawn_images(3, SIZE, seed=1)[2:]
    assert module.calibration
    module.model.update(new)
    module.model.remove(old)
    assert module.fitted == FITTED
    assert module.calibration is None
    module.model.update(old)
    module.model.remove(new)
    assert module.calibration
