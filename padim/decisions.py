"""What a threshold does to images whose labels are known."""

from collections.abc import Sequence

import torch

from padim.calibration import Calibration


def rates(scores: Sequence[float], labels: Sequence[int], calibration: Calibration) -> dict[str, float]:
    """How often normal images raise an alarm and anomalous ones do, as far as there are any."""
    alarms = [score > calibration.threshold for score in scores]
    found = {"threshold": calibration.threshold, "calibration_images": float(len(calibration.scores))}
    for label, name in enumerate(("false_alarm_rate", "detection_rate")):
        of_label = [alarm for alarm, own in zip(alarms, labels, strict=True) if own == label]
        if of_label:
            found[name] = sum(of_label) / len(of_label)
    return found


def oracle(scores: Sequence[float], labels: Sequence[int]) -> dict[str, float]:
    """The highest F1 that a threshold reaches on these very labels, for comparison only, and the lowest score above it.

    Empty without anomalous images.
    """
    if not any(labels):
        return {}
    values, order = torch.tensor(scores, dtype=torch.float64).sort(descending=True)
    hits = torch.tensor(labels, dtype=torch.float64)[order]
    last = torch.cat([values.diff() != 0, torch.ones(1, dtype=torch.bool)])  # of equal scores, all or none are above
    positives = torch.arange(1, len(values) + 1)
    f1 = torch.where(last, 2 * hits.cumsum(0) / (positives + hits.sum()), -1.0)
    best = int(f1.argmax())
    return {"oracle_f1": f1[best].item(), "oracle_lowest_alarm": values[best].item()}
