"""Which threshold counts, and what is said of it."""

import pytest

from padim.calibration import Calibration
from padim.predict.decision import decide_by, described

CALIBRATION = Calibration([float(score) for score in range(20)], 0.05, "held_out", 80)


def test_the_models_own_threshold() -> None:
    decision = decide_by(CALIBRATION, None, None)
    assert decision.threshold == 19.0
    assert (decision.alarm(19.0), decision.alarm(19.5)) == (False, True)
    assert decision.p_value(19.5) == 1 / 21
    assert described(decision) == "19.0000: a false-alarm rate of 0.05 on 20 held-out normal images"


def test_another_rate_and_another_threshold() -> None:
    assert decide_by(CALIBRATION, 0.5, None).threshold == 10.0
    given = decide_by(CALIBRATION, None, 3.5)
    assert (given.threshold, given.p_value(19.5)) == (3.5, 1 / 21)
    assert described(given) == "3.5000, as given"


def test_without_a_calibration() -> None:
    decision = decide_by(None, None, None)
    assert (decision.threshold, decision.alarm(1.0), decision.p_value(1.0)) == (None, None, None)
    assert "neither alarms nor regions: the model is not calibrated; fit it with" in described(decision)
    assert decide_by(None, None, 3.0).alarm(3.1)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"alpha=0\.1 and threshold=3.0 contradict each other; give one"):
        decide_by(CALIBRATION, 0.1, 3.0)
    with pytest.raises(ValueError, match=r"alpha=0\.1, but the model is not calibrated; fit it with"):
        decide_by(None, 0.1, None)
    with pytest.raises(ValueError, match=r"alpha=0.01 needs 99 calibration images, found 20"):
        decide_by(CALIBRATION, 0.01, None)
