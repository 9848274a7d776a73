"""One image of a data set, from its path to a batch."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Pose:
    """How an image is turned and where it is cropped.

    Attributes:
        angle: degrees, counter-clockwise about the centre.
        down, right: place of the crop between the first there is and the last, in [0, 1).
    """

    angle: float
    down: float
    right: float


@dataclass(frozen=True)
class Sample:
    """Where an image lies and what is known of it.

    Attributes:
        path: of the image.
        kind: ``good``, or the name of its defect.
        mask: path of the image of its anomalous pixels (not 0); None where all are normal.
        pose: None is upright and cropped in the centre.
    """

    path: Path
    kind: str = "good"
    mask: Path | None = None
    pose: Pose | None = None

    @property
    def label(self) -> int:
        """1 where the image is anomalous."""
        return int(self.kind != "good")


class Batch(NamedTuple):
    """Some images of a data set, or one, without the dimension B.

    Attributes:
        image: (B, 3, H, W) uint8.
        mask: (B, H, W) bool, the anomalous pixels.
        label: (B,) 1 where the image is anomalous.
        sample: (B,) which sample of the data set it is.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    sample: Tensor


@runtime_checkable
class Reader(Protocol):
    """A data set on disk: what to fit on and what to test on."""

    def prepare(self) -> None:
        """Make what is made once, such as generated images."""

    def train(self) -> list[Sample]: ...

    def test(self) -> list[Sample]: ...


class ImageDataset(Dataset[Batch]):
    """Samples, decoded, resized to ``resize``, turned where they have a pose, and cropped to ``image_size``."""

    def __init__(self, samples: list[Sample], resize: Size, image_size: Size, interpolation: str) -> None:
        self.samples, self.resize, self.image_size = samples, resize, image_size
        self.interpolation = Image.Resampling[interpolation.upper()]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        sample = self.samples[index]
        image = read_rgb(sample.path)
        mask = np.zeros(self.image_size, bool)
        if sample.mask is not None:
            resized = self._resized(_read_mask(sample, image.size), Image.Resampling.NEAREST)
            mask = np.array(self._crop(_turned_mask(resized, sample.pose), sample.pose))
        resized = self._resized(image, self.interpolation)
        pixels = np.array(self._crop(_turned_image(resized, sample.pose), sample.pose))
        return Batch(
            torch.from_numpy(pixels).permute(2, 0, 1),
            torch.from_numpy(mask),
            torch.tensor(sample.label),
            torch.tensor(index),
        )

    def _resized(self, image: Image.Image, interpolation: Image.Resampling) -> Image.Image:
        return image.resize(self.resize[::-1], interpolation)  # Pillow returns a copy where nothing changes

    def _crop(self, image: Image.Image, pose: Pose | None) -> Image.Image:
        (resized_h, resized_w), (height, width) = self.resize, self.image_size
        top, left = (resized_h - height) // 2, (resized_w - width) // 2
        if pose is not None:
            top, left = int(pose.down * (resized_h - height + 1)), int(pose.right * (resized_w - width + 1))
        return image.crop((left, top, left + width, top + height))


def _turned_image(image: Image.Image, pose: Pose | None) -> Image.Image:
    """Bilinear; what comes in at the corners is the image reflected at its border, the edge repeated."""
    if pose is None:
        return image
    margin = math.ceil(max(image.size) / 2 * abs(math.sin(math.radians(pose.angle)))) + 1  # of what comes in
    wide = Image.fromarray(np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), "symmetric"))
    turned = wide.rotate(pose.angle, Image.Resampling.BILINEAR)
    return turned.crop((margin, margin, margin + image.width, margin + image.height))


def _turned_mask(mask: Image.Image, pose: Pose | None) -> Image.Image:
    """Nearest; nothing that comes in at the corners is anomalous."""
    return mask if pose is None else mask.rotate(pose.angle, Image.Resampling.NEAREST)


def read_rgb(path: Path) -> Image.Image:
    """An image file of any mode, as RGB."""
    image = ImageOps.exif_transpose(_open(path))
    if image.mode == "F":
        raise ValueError(f"{path} holds floating-point numbers of unknown range; save it with 8 or 16 bits a channel")
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips instead of scaling
        image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
    return image.convert("RGBA" if "transparency" in image.info else image.mode).convert("RGB")


def _read_mask(sample: Sample, size: tuple[int, int]) -> Image.Image:
    assert sample.mask is not None
    mask = _open(sample.mask)
    if mask.size != size:
        raise ValueError(
            f"the mask {sample.mask} is {mask.size[0]}x{mask.size[1]} pixels and its image {sample.path} "
            f"{size[0]}x{size[1]}; they must be of one size"
        )
    values = np.asarray(mask if len(mask.getbands()) == 1 else mask.convert("RGB"))  # a palette's own numbers
    return Image.fromarray((values if values.ndim == 2 else values.any(-1)) != 0)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read the image {path} ({error}); replace it or take it out of the folder") from error
