"""Images of any size and aspect: stretched, or scaled to fit and padded, and then what is padding is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from padim.data.samples import Batch, ImageDataset, Pose, Sample
from padim.data.scaling import Scaling
from tests.data.files import write

SIZES = [(40, 60), (60, 40), (17, 91), (40, 40), (1, 300), (64, 48), (5, 3)]
FRAME = (48, 36)


def read(path: Path, mask: Path | None = None, keep_aspect: bool = True, pose: Pose | None = None) -> Batch:
    sample = Sample(path, "hole" if mask else "good", mask, pose)
    return ImageDataset([sample], FRAME, FRAME, "bicubic", keep_aspect)[0]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_valid_is_the_image_scaled_and_the_rest_is_its_reflection(
    size: tuple[int, int], tmp_path: Path
) -> None:
    path = write(tmp_path / "image.png", size=size)
    batch = read(path)
    rows, columns = np.flatnonzero(batch.valid.any(1)), np.flatnonzero(batch.valid.any(0))
    fitted = (len(rows), len(columns))
    assert batch.valid.sum() == len(rows) * len(columns)  # a rectangle
    assert rows[0] == (FRAME[0] - fitted[0]) // 2
    assert columns[0] == (FRAME[1] - fitted[1]) // 2
    assert FRAME[0] in fitted[:1] or FRAME[1] in fitted[1:]
    assert abs(fitted[0] / size[0] - fitted[1] / size[1]) <= 1 / min(size)  # to a pixel, one aspect

    expected = np.asarray(Image.open(path).resize(fitted[::-1], Image.Resampling.BICUBIC))
    pixels = batch.image.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels[np.ix_(rows, columns)], expected)
    for axis, first, count in ((0, rows[0], fitted[0]), (1, columns[0], fitted[1])):
        if 0 < first <= count:
            np.testing.assert_array_equal(
                pixels.take(range(first), axis), np.flip(pixels.take(range(first, 2 * first), axis), axis)
            )


@pytest.mark.parametrize("size", [(96, 72), (48, 36), (24, 18)])
@pytest.mark.parametrize("pose", [None, Pose(7.0, 0.2, 0.9)])
def test_an_image_of_the_frames_aspect_is_what_it_was(size: tuple[int, int], pose: Pose | None, tmp_path: Path) -> None:
    """Turned as well: what comes in at the corners is no padding."""
    path = write(tmp_path / "image.png", size=size)
    kept, stretched = read(path, pose=pose), read(path, keep_aspect=False, pose=pose)
    assert all(map(torch.equal, kept[:6], stretched[:6]))
    assert kept.valid.all()


@pytest.mark.parametrize("size", SIZES)
def test_the_mask_goes_with_its_image(size: tuple[int, int], tmp_path: Path) -> None:
    """An image that is all anomalous is anomalous wherever it is valid, turned or not."""
    white = write(tmp_path / "white.png", np.full(size, 255, np.uint8))
    upright = read(white, white)
    assert torch.equal(upright.mask, upright.valid)
    turned = read(white, white, pose=Pose(8.0, 0.5, 0.5))
    assert not (turned.mask & ~turned.valid).any()
    assert (turned.image == 255).all()


def test_a_square_keeps_its_place_under_its_mask(tmp_path: Path) -> None:
    pixels = np.zeros((60, 90), np.uint8)
    pixels[18:36, 30:60] = 255
    path = write(tmp_path / "image.png", pixels)
    batch = read(path, path)
    assert torch.equal(batch.mask, (batch.image[0] >= 128) & batch.valid)
    rows, columns = np.flatnonzero(batch.mask.any(1)), np.flatnonzero(batch.mask.any(0))
    assert len(columns) / len(rows) == pytest.approx(30 / 18, rel=0.1)


def test_stretched_images_are_valid_everywhere(tmp_path: Path) -> None:
    assert read(write(tmp_path / "image.png", size=(9, 50)), keep_aspect=False).valid.all()


def test_a_crop_that_misses_the_image_is_refused(tmp_path: Path) -> None:
    sample = Sample(write(tmp_path / "image.png", size=(2, 90)), pose=Pose(0, 0, 0))
    with pytest.raises(ValueError, match=r"the crop dataset.image_size=\(8, 8\) misses .*image.png"):
        ImageDataset([sample], (48, 48), (8, 8), "bicubic", keep_aspect=True)[0]


def test_every_size_has_at_least_a_pixel() -> None:
    assert Scaling((10, 10), keep_aspect=True).fitted((1, 10_000)) == (1, 10)
