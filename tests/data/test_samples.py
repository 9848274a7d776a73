"""From an image file to a uint8 tensor: every mode, the frame, and what cannot be read."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from padim.data.decoding import UnreadableImageError
from padim.data.module import ImageDataModule
from padim.data.mvtec import MVTec
from padim.data.samples import ImageDataset, Sample, read_rgb

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
RGB = np.stack([GREY, 255 - GREY, GREY.T], -1)


def saved(folder: Path, image: Image.Image, name: str = "image.png") -> Path:
    image.save(folder / name)
    return folder / name


def dataset(*samples: Sample, resize: tuple[int, int] = (8, 8), image_size: tuple[int, int] = (8, 8)) -> ImageDataset:
    return ImageDataset(list(samples), resize, image_size, "bicubic")


def test_a_sample_is_the_pixels_of_its_file(tmp_path: Path) -> None:
    batch = dataset(Sample(saved(tmp_path, Image.fromarray(RGB))))[0]
    assert batch.image.dtype == torch.uint8
    np.testing.assert_array_equal(batch.image.permute(1, 2, 0).numpy(), RGB)
    assert not batch.mask.any()
    assert (batch.label, batch.sample) == (0, 0)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("grey.png", Image.fromarray(GREY)),
        ("palette.png", Image.fromarray(GREY).convert("P")),
        ("16 bits.png", Image.fromarray(GREY.astype(np.uint16) * 257)),
        ("32 bits.tif", Image.fromarray(GREY.astype(np.int32) * 257)),
        ("grey and alpha.png", Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY.T)])),
        ("1 bit.png", Image.fromarray(GREY).convert("1")),
    ],
)
def test_grey_images_of_every_mode(tmp_path: Path, name: str, image: Image.Image) -> None:
    expected = np.where(GREY >= 128, 255, 0) if image.mode == "1" else GREY
    if image.mode == "1":
        image = Image.fromarray(GREY >= 128)
    pixels = np.asarray(read_rgb(saved(tmp_path, image, name)))
    np.testing.assert_array_equal(pixels, np.stack([expected] * 3, -1))


def test_colour_images_of_every_mode(tmp_path: Path) -> None:
    image = Image.fromarray(RGB)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(GREY))
    transparent = image.quantize(64)
    transparent.info["transparency"] = bytes(range(64))
    expected = {"alpha.png": RGB, "palette.png": np.asarray(image.quantize(64).convert("RGB"))}
    expected["four.tif"] = np.asarray(image.convert("CMYK").convert("RGB"))
    variants = {"alpha.png": alpha, "palette.png": transparent, "four.tif": image.convert("CMYK")}
    for name, variant in variants.items():
        np.testing.assert_array_equal(np.asarray(read_rgb(saved(tmp_path, variant, name))), expected[name])


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    Image.fromarray(RGB).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "image.png")), np.rot90(RGB, -1))


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.ones((8, 8), np.float32)), "image.tif")
    with pytest.raises(ValueError, match="floating-point numbers of unknown range"):
        read_rgb(path)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "RGBA", "I;16"])
def test_whatever_is_not_0_in_a_mask_is_anomalous(tmp_path: Path, mode: str) -> None:
    truth = np.eye(8, dtype=np.uint8)
    match mode:
        case "P":
            mask = Image.fromarray(truth)
            mask.putpalette([0, 0, 0, 0, 0, 1])
        case "RGB" | "RGBA":
            mask = Image.fromarray(np.stack([0 * truth, 0 * truth, truth], -1)).convert(mode)
        case "I;16":
            mask = Image.fromarray(truth.astype(np.uint16))
        case _:
            mask = Image.fromarray(truth).point(lambda value: 255 * value).convert(mode)
    sample = Sample(saved(tmp_path, Image.fromarray(RGB)), "hole", saved(tmp_path, mask, "mask.png"))
    np.testing.assert_array_equal(dataset(sample)[0].mask.numpy(), truth > 0)


def test_image_and_mask_are_framed_alike(tmp_path: Path) -> None:
    """A white square stays under its mask through resizing and cropping, whatever the aspect."""
    pixels = np.zeros((60, 90), np.uint8)
    pixels[20:40, 30:60] = 255
    image = saved(tmp_path, Image.fromarray(pixels))
    sample = Sample(image, "hole", saved(tmp_path, Image.fromarray(pixels), "mask.png"))
    batch = dataset(sample, resize=(30, 40), image_size=(24, 28))[0]
    assert batch.image.shape == (3, 24, 28)
    assert batch.mask.shape == (24, 28)
    assert batch.mask.any()
    assert torch.equal(batch.mask, batch.image[0] >= 128)
    assert batch.label == 1


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    image = saved(tmp_path, Image.fromarray(RGB))
    mask = saved(tmp_path, Image.fromarray(GREY[:4]), "mask.png")
    with pytest.raises(ValueError, match=r"mask.png is 8x4 pixels and its image .*image.png 8x8"):
        dataset(Sample(image, "hole", mask))[0]


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = saved(tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)  # None: a truncated one
    with pytest.raises(ValueError, match=r"cannot read the image .*image.png"):
        read_rgb(path)


def with_broken_exif() -> bytes:
    """A JPEG that says it is turned, and another tag of which is of a type that Pillow reads and cannot write."""
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112], exif[0x011A] = 6, 72.0
    Image.fromarray(RGB).save(file, "JPEG", exif=exif)
    assert b"\x01\x1a\x00\x05" in file.getvalue()
    return file.getvalue().replace(b"\x01\x1a\x00\x05", b"\x01\x00\x00\x05")


@pytest.mark.parametrize("content", [b"P5 2x 2 255\n1234", b"no image", with_broken_exif()])
def test_whatever_pillow_stumbles_over_the_image_is_named(tmp_path: Path, content: bytes) -> None:
    """Pillow raised what names no file or is no error of images: ``on_error=skip`` skips UnreadableImageError alone."""
    path = tmp_path / "image.pgm"
    path.write_bytes(content)
    for given in (None, content):
        with pytest.raises(UnreadableImageError, match=r"cannot read the image .*image.pgm \([^<]*\); replace it"):
            read_rgb(path, given)


@pytest.mark.parametrize("content", [b"P5 2x 2 255\n1234", b"no image"])
def test_a_mask_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mask.pgm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read the mask .*mask.pgm \([^<]*\); replace it") as raised:
        dataset(Sample(saved(tmp_path, Image.fromarray(RGB)), "hole", path))[0]
    assert not isinstance(raised.value, UnreadableImageError)


def test_a_crop_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match=r"image_size=\[256, 256\] is cut out of dataset.resize=\[224, 224\]"):
        ImageDataModule(MVTec("data", "bottle"), resize=[224, 224], image_size=[256, 256])


def test_an_unknown_interpolation() -> None:
    with pytest.raises(ValueError, match="interpolation='linear'; known are bicubic, bilinear"):
        ImageDataModule(MVTec("data", "bottle"), resize=[8, 8], image_size=[8, 8], interpolation="linear")
