"""Activations that are not too large to be reused."""

import pytest
import torch
from torch import nn

from padim.activations import LARGEST_REUSED, images_at_once, output_bytes
from padim.backbone import Backbone


def test_outputs_are_measured_while_asked_for() -> None:
    network = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    with output_bytes(network) as sizes:
        network(torch.zeros(2, 4))
    network(torch.zeros(2, 4))
    assert sizes == [80, 80, 24, 24]


@pytest.mark.parametrize(
    ("largest", "count"),
    [(1, LARGEST_REUSED - 1), (LARGEST_REUSED // 2 - 1, 2), (LARGEST_REUSED // 2, 1), (LARGEST_REUSED, 1)],
)
def test_the_largest_activation_decides(largest: int, count: int) -> None:
    assert images_at_once([1, largest, 1]) == count
    assert images_at_once([10 * LARGEST_REUSED]) == 1


@pytest.mark.parametrize(
    ("name", "side", "count"), [("resnet18", 224, 10), ("resnet18", 512, 1), ("test_vit", 64, 2570)]
)
def test_networks(name: str, side: int, count: int) -> None:
    stages = ("blocks.0",) if name == "test_vit" else (1,)
    assert Backbone(name, stages, (side, side)).at_once == count
