"""What a threshold does, and the best that any could do, against the slow form."""

import pytest
import torch
from sklearn.metrics import f1_score

from padim.calibration import Calibration
from padim.decisions import oracle, rates

CALIBRATION = Calibration([1.0, 2.0, 3.0], 0.25, "held_out", fitted=9)  # threshold 3


def test_rates() -> None:
    found = rates([3.0, 3.5, 1.0, 2.0, 9.0], [0, 0, 0, 1, 1], CALIBRATION)
    assert found == pytest.approx(
        {"threshold": 3.0, "calibration_images": 3, "false_alarm_rate": 1 / 3, "detection_rate": 1 / 2}
    )


def test_without_anomalous_images_there_are_no_detections() -> None:
    assert set(rates([1.0, 4.0], [0, 0], CALIBRATION)) == {"threshold", "calibration_images", "false_alarm_rate"}
    assert oracle([1.0, 4.0], [0, 0]) == oracle([], []) == {}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ties", [False, True])
def test_the_oracle_is_the_best_of_all_thresholds(seed: int, ties: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (30,), generator=generator)
    labels[0] = 1
    scores = torch.randn(30, generator=generator) + labels
    scores = scores.round() if ties else scores
    best = max(f1_score(labels, scores >= threshold) for threshold in scores)
    found = oracle(scores.tolist(), labels.tolist())
    assert found["oracle_f1"] == pytest.approx(best)
    assert f1_score(labels, scores.double() >= found["oracle_lowest_alarm"]) == pytest.approx(best)
