"""What a page says of a run in words."""

from typing import Any

import pytest

from padim.run_page.headline import Count, model_name, verdict

GROUPS = {
    "backbone": {"name": "resnet18", "weights": "/somewhere/trunk.safetensors"},
    "layers": {"stages": [1, 2], "combine": "sum"},
    "reduction": {"name": "random", "dim": 100},
    "covariance": {"name": "sample", "eps": 0.01, "pool": 3},
}
PADIM = (
    "resnet18 with weights trunk.safetensors; sum of layers 1, 2; random reduction to 100 dimensions; "
    "sample covariance of pool 3 with eps 0.01; fitted to 7 images"
)


@pytest.mark.parametrize(
    ("takes", "said"),
    [
        (tuple(GROUPS), PADIM),
        (("backbone",), "resnet18 with weights trunk.safetensors; fitted to 7 images"),
        ((), "fitted to 7 images"),
    ],
)
def test_a_model_is_described_by_what_it_takes(takes: tuple[str, ...], said: str) -> None:
    """All groups are in the configuration of any method, with a reduction that k nearest neighbours do not know."""
    config: dict[str, Any] = {**GROUPS, "model": {part: f"${{{part}}}" for part in takes}}
    assert model_name(config, 7) == said


@pytest.mark.parametrize(
    ("normal", "anomalous", "said"),
    [
        (Count(0, 0), Count(0, 0), "Nothing was tested: there are no test images."),
        (Count(0, None), Count(0, None), "Nothing was tested: there are no test images."),
        (Count(5, 1), Count(6, 4), "The threshold raises an alarm at 1 of 5 normal and at 4 of 6 anomalous images."),
        (Count(0, 0), Count(6, 4), "The threshold raises an alarm at 4 of 6 anomalous images."),
        (Count(5, None), Count(0, None), "5 normal images were tested; without a threshold nothing is decided."),
    ],
)
def test_the_verdict_counts_what_there_is(normal: Count, anomalous: Count, said: str) -> None:
    assert verdict({"normal": normal, "anomalous": anomalous}) == said
