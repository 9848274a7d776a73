"""Single images of a page: which are shown, and what is said of their maps."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from padim.calibration import Calibration
from padim.data.samples import ImageDataset, Sample
from padim.method import Method
from padim.predict.decision import Decision
from padim.run_page.cases import COUNT, explain, worst
from padim.scoring import Prediction

DECISION = Decision(100.0, Calibration([float(score) for score in range(1, 101)], 0.01, "held_out", 1))


class Channels(Method):
    """Its levels are the first two channels of the image, and its map is their sum."""

    name = "channels"
    levels: Any = ("first", "second")

    def forward(self, images: Tensor) -> Prediction:
        anomaly_map = images[:, :2].float().sum(1)
        return Prediction(anomaly_map.amax((1, 2)), anomaly_map, tuple(images[:, :2].float().unbind(1)))

    def level_maps(self, prediction: Prediction) -> Tensor:
        return torch.stack(prediction.level_distances, 1)


class Whole(Channels):
    """Which does not localise."""

    localises, peak, levels = False, False, ()

    def level_maps(self, prediction: Prediction) -> Tensor:
        return Method.level_maps(self, prediction)


class Loose(Channels):
    """Whose score is not the maximum of its map."""

    peak = False


class Images(ImageDataset):
    """Black, with 30 and 90 at a place of their own; a diamond is valid, the corner outside it is brighter."""

    def __init__(self) -> None:
        self.samples, self.root = [Sample(Path(f"/data/{i}.png")) for i in range(3)], Path("/data")
        y, x = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
        self.valid = (y - 4).abs() + (x - 4).abs() <= 3

    def __getitem__(self, index: int) -> Any:
        image = torch.zeros(3, 9, 9, dtype=torch.uint8)
        image[0, 4, 3 + index], image[1, 4, 3 + index], image[0, 1, 1] = 30, 90, 255
        return SimpleNamespace(image=image, mask=torch.zeros(9, 9, dtype=torch.bool), valid=self.valid)


def test_the_worst_are_nearest_to_the_wrong_side() -> None:
    rng = np.random.default_rng(0)
    scores = {i: float(score) for i, score in enumerate(rng.normal(size=20))}
    misses, false_alarms = worst(scores, {i: i % 2 for i in scores})
    assert len(misses) == len(false_alarms) == COUNT
    assert sorted(scores[i] for i in scores if i % 2)[:COUNT] == [scores[i] for i in misses]
    assert sorted((scores[i] for i in scores if not i % 2), reverse=True)[:COUNT] == [scores[i] for i in false_alarms]


@pytest.mark.parametrize("batch_size", [1, 2, 9])
def test_shares_are_those_of_the_peak_within_the_image(batch_size: int) -> None:
    """A turned image does not fill its frame: what is brighter beside it counts nowhere."""
    found = explain(Channels(), Images(), {0: 120.0, 2: 99.0}, [2, 0], DECISION, batch_size)
    assert list(found) == [2, 0]
    for case in found.values():
        assert case.shares == {"first": 0.25, "second": 0.75}
        assert case.level == "second"
        assert [part.size for part in case.parts] == [(7, 7)] * 2
        assert [np.asarray(part).max() > 200 for part in case.parts] == [False, True]
    assert [(case.name, case.alarm) for case in found.values()] == [("2.png", False), ("0.png", True)]
    assert [case.p_value for case in found.values()] == [3 / 101, 1 / 101]


def test_a_method_that_does_not_localise_has_no_map() -> None:
    (case,) = explain(Whole(), Images(), {1: 5.0}, [1], DECISION, 1).values()
    assert (case.heat, case.parts, case.shares, case.level) == (None, [], {}, None)


def test_a_threshold_of_scores_is_none_of_maps_on_another_scale() -> None:
    """120 is above the threshold of 100, along which a white line runs; not so where scores are something else."""
    heats = [explain(one, Images(), {1: 5.0}, [1], DECISION, 1)[1].heat for one in (Channels(), Loose())]
    assert [bool((np.asarray(one) == 255).all(-1).any()) for one in heats] == [True, False]
