"""What each level contributes at one pixel is what its map has there."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from padim.head import Head
from padim.heads import LayerSum
from padim.scoring import peak

CHANNELS, GRIDS, SIZE = (3, 4), ((8, 8), (4, 4)), (16, 12)


def features(images: int, generator: torch.Generator) -> Sequence[Tensor]:
    return [torch.randn(images, c, *grid, generator=generator) for c, grid in zip(CHANNELS, GRIDS, strict=True)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Head(CHANNELS, GRIDS, SIZE),
        lambda: LayerSum([Head(CHANNELS, GRIDS, SIZE, maps=[m]) for m in (1, 0)]),
    ],
    ids=["joined", "sum"],
)
def test_the_parts_of_a_pixel_are_those_of_the_maps(make: Callable[[], Head | LayerSum]) -> None:
    generator, image = torch.Generator().manual_seed(0), torch.arange(5)
    head = make()
    head.update(features(30, generator))
    head.finalise()
    prediction = head(features(5, generator))
    valid = torch.rand(5, *SIZE, generator=generator) > 0.5
    pixels = peak(prediction.anomaly_map, valid)
    row, column = pixels.T
    assert valid[image, row, column].all()
    highest = prediction.anomaly_map.masked_fill(~valid, -1).amax((1, 2))
    torch.testing.assert_close(prediction.anomaly_map[image, row, column], highest)
    parts = head.level_parts(prediction, pixels)
    torch.testing.assert_close(parts, head.level_maps(prediction)[image, :, row, column])
    torch.testing.assert_close(parts.sum(1), highest)
