"""Which scores raise an alarm."""

from dataclasses import replace
from typing import NamedTuple

from padim.calibration import Calibration


class Decision(NamedTuple):
    """A threshold, and what is known of normal images.

    Attributes:
        threshold: an image or a pixel above it is anomalous; None where there is none.
        calibration: gives p-values; None where there is none.
    """

    threshold: float | None
    calibration: Calibration | None

    def p_value(self, score: float) -> float | None:
        return None if self.calibration is None else self.calibration.p_value(score)

    def alarm(self, score: float) -> bool | None:
        return None if self.threshold is None else score > self.threshold


def decide_by(calibration: Calibration | None, alpha: float | None, threshold: float | None) -> Decision:
    """The model's own threshold, unless another is asked for.

    Args:
        calibration: of the model.
        alpha: another false-alarm rate than that of the calibration.
        threshold: instead of the calibration's; the p-values stay.

    Raises:
        ValueError: both are given, or a rate without a calibration, or one that asks for more images than it has.
    """
    if alpha is not None and threshold is not None:
        raise ValueError(f"alpha={alpha} and threshold={threshold} contradict each other; give one of them")
    if alpha is not None:
        if calibration is None:
            raise ValueError(f"alpha={alpha}, but the model is not calibrated; {REMEDY}")
        calibration = replace(calibration, alpha=alpha)
    if threshold is None and calibration is not None:
        threshold = calibration.threshold
    return Decision(threshold, calibration)


REMEDY = "fit it with calibration=leave_one_out or dataset.calibration_fraction=0.1, or give threshold=NUMBER"


def described(decision: Decision) -> str:
    """One line on where the threshold comes from."""
    if decision.threshold is None:
        return f"none, so that there are neither alarms nor regions: the model is not calibrated; {REMEDY}"
    calibration = decision.calibration
    if calibration is None or decision.threshold != calibration.threshold:
        return f"{decision.threshold:.4f}, as given"
    of = {"held_out": "held-out normal images", "leave_one_out": "fitted images, each left out in turn; no guarantee"}
    rate = f"a false-alarm rate of {calibration.alpha:g} on {len(calibration.scores)}"
    return f"{decision.threshold:.4f}: {rate} {of[calibration.source]}"
