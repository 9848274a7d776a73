"""Where the anomalous pixels are told: files, unions of files, frames of an array, or nowhere."""

from pathlib import Path

import numpy as np
import pytest

from padim.data.samples import Batch, Frame, ImageDataset, Mask, Sample
from tests.data.files import write

SHAPE = (6, 9)
ONE = np.zeros(SHAPE, np.uint8)
ONE[1:3, 2:5] = 255
OTHER = np.zeros(SHAPE, np.uint8)
OTHER[2:6, 4:9] = 1


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path / "image.png", size=SHAPE)


def read(image: Path, mask: Mask | None, kind: str = "hole") -> Batch:
    return ImageDataset([Sample(image, kind, mask)], SHAPE, SHAPE, "bicubic")[0]


def test_several_masks_are_their_union_in_any_order(image: Path, tmp_path: Path) -> None:
    one, other = write(tmp_path / "one.png", ONE), write(tmp_path / "other.png", OTHER)
    union = (ONE | OTHER) > 0
    for paths in ((one, other), (other, one), (one, other, one)):
        np.testing.assert_array_equal(read(image, paths).mask.numpy(), union)
    np.testing.assert_array_equal(read(image, (one,)).mask.numpy(), read(image, one).mask.numpy())


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64])
def test_a_frame_of_an_array_is_the_same_as_a_file(image: Path, tmp_path: Path, dtype: type) -> None:
    np.save(tmp_path / "video.npy", np.stack([OTHER, ONE]).astype(dtype))
    batch = read(image, Frame(tmp_path / "video.npy", 1))
    np.testing.assert_array_equal(batch.mask.numpy(), read(image, write(tmp_path / "one.png", ONE)).mask.numpy())


@pytest.mark.parametrize(("kind", "known"), [("good", True), ("hole", False)])
def test_without_a_mask_a_good_image_is_normal_and_another_is_unknown(image: Path, kind: str, known: bool) -> None:
    batch = read(image, None, kind)
    assert not batch.mask.any()
    assert bool(batch.mask_known) == known
    assert batch.label == int(kind != "good")


def test_masks_that_do_not_fit(image: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "video.npy", np.zeros((2, 6, 8)))
    np.save(tmp_path / "flat.npy", np.zeros((6, 9)))
    (tmp_path / "text.npy").write_text("hello")
    one, small = write(tmp_path / "one.png", ONE), write(tmp_path / "small.png", ONE[:5])
    for mask, message in [
        ((one, small), r"the mask .*small.png is 9x5 pixels and its image .*image.png 9x6"),
        (Frame(tmp_path / "video.npy", 1), r"video.npy \(frame 1\) is 8x6 pixels and its image"),
        (Frame(tmp_path / "video.npy", 2), r"shape \(2, 6, 8\); expected T x H x W with a frame 2"),
        (Frame(tmp_path / "flat.npy", 0), r"shape \(6, 9\); expected T x H x W"),
        (Frame(tmp_path / "text.npy", 0), r"cannot read the masks .*text.npy"),
        ((), "empty tuple; give at least one path"),
    ]:
        with pytest.raises(ValueError, match=message):
            read(image, mask)
