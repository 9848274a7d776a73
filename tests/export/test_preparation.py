"""The graph's resizing, padding and cropping are the loader's, to the bit."""

from dataclasses import replace

import pytest
import torch

from padim.export.comparison import loaded
from padim.export.facts import Facts
from padim.export.preparation import Preparation

FACTS = Facts((56, 50), (64, 60), "bicubic", False, ("layer1",), None, "resnet18", 2, "0")
SIZES = [
    (64, 60),  # as it is
    (100, 130),  # shrinks
    (20, 30),  # grows
    (50, 90),  # grows down, shrinks across
    (90, 40),  # shrinks down, grows across
    (150, 80),  # shrinks much more down than across
    (65, 59),
    (400, 7),
    (3, 5),
    (1, 1),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("keep_aspect", [False, True], ids=["stretched", "padded"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_images_are_the_loaders(interpolation: str, keep_aspect: bool, size: tuple[int, int]) -> None:
    facts = replace(FACTS, interpolation=interpolation, keep_aspect=keep_aspect)
    raw = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images, valid = Preparation(facts)(raw)
    expected, inside = loaded(raw, facts)
    assert torch.equal(images, expected)
    assert torch.equal(valid.expand_as(inside), inside)
