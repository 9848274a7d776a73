"""One image of a data set, from its path to a batch."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from padim.data.cache import ImageCache
from padim.data.decoding import Frame, Mask, read_mask, read_rgb
from padim.data.scaling import Scaling, Size

__all__ = ["Batch", "Frame", "ImageDataset", "Mask", "Pose", "Reader", "Sample", "Size", "read_rgb"]


@dataclass(frozen=True)
class Pose:
    """How an image is turned and where it is cropped.

    Attributes:
        angle: degrees, counter-clockwise about the centre.
        down, right: place of the crop between the first there is and the last, in [0, 1); None is in the centre.
    """

    angle: float
    down: float | None = None
    right: float | None = None


@dataclass(frozen=True)
class Sample:
    """Where an image lies and what is known of it.

    Attributes:
        path: of the image.
        kind: ``good``, or the name of its defect.
        mask: where its anomalous pixels are told; several paths are united. None is none in an image that is ``good``,
            and unknown in any other.
        pose: None is upright and cropped in the centre.
        light: factor of all pixels.
    """

    path: Path
    kind: str = "good"
    mask: Mask | None = None
    pose: Pose | None = None
    light: float = 1.0

    def name(self, root: Path) -> str:
        """Its path from there, the same on every machine."""
        return Path(os.path.relpath(self.path, root)).as_posix()

    @property
    def label(self) -> int:
        """1 where the image is anomalous."""
        return int(self.kind != "good")

    @property
    def mask_known(self) -> bool:
        return self.mask is not None or self.kind == "good"


class Batch(NamedTuple):
    """Some images of a data set, or one, without the dimension B.

    Attributes:
        image: (B, 3, H, W) uint8.
        mask: (B, H, W) bool, the anomalous pixels; empty where they are unknown.
        label: (B,) 1 where the image is anomalous.
        sample: (B,) which sample of the data set it is.
        mask_known: (B,) bool.
        valid: (B, H, W) bool, the pixels of the image; the others pad it, and count nowhere.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    sample: Tensor
    mask_known: Tensor
    valid: Tensor


@runtime_checkable
class Reader(Protocol):
    """A data set on disk: what to fit on and what to test on.

    Attributes:
        root: folder whose place does not matter: what is drawn for an image depends on its path from there.
    """

    root: Path

    def prepare(self) -> None:
        """Make what is made once, such as generated images."""

    def train(self) -> list[Sample]: ...

    def test(self) -> list[Sample]: ...


class ImageDataset(Dataset[Batch]):
    """Samples, decoded, resized to ``resize``, turned where they have a pose, and cropped to ``image_size``."""

    def __init__(
        self,
        samples: list[Sample],
        resize: Size,
        image_size: Size,
        interpolation: str,
        keep_aspect: bool = False,
        cache: ImageCache | None = None,
    ) -> None:
        self.samples, self.resize, self.image_size = samples, resize, image_size
        self.scaling, self.cache = Scaling(resize, interpolation, keep_aspect), cache

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        sample, pose = self.samples[index], self.samples[index].pose
        image, original = (
            self.scaling.read(sample.path) if not self.cache else self.cache.read(sample.path, self.scaling)
        )
        framed = _turned(self.scaling.padded_image(image), pose, Image.Resampling.BILINEAR)
        pixels = _lit(np.array(self._crop(framed, pose)), sample.light)  # (H, W, 3)
        mask, valid = np.zeros(self.image_size, bool), np.ones(self.image_size, bool)
        if self.scaling.keep_aspect:
            inside = self.scaling.padded_mask(Image.new("1", image.size, 1))
            valid = np.array(self._crop(_turned(inside, pose, Image.Resampling.NEAREST), pose))
            if not valid.any():
                raise ValueError(f"the crop dataset.image_size={self.image_size} misses {sample.path}; enlarge it")
        if sample.mask is not None:
            truth = read_mask(sample.mask, sample.path, original).resize(image.size, Image.Resampling.NEAREST)
            mask = np.array(self._crop(_turned_mask(self.scaling.padded_mask(truth), pose), pose)) & valid
        return Batch(
            torch.from_numpy(pixels).permute(2, 0, 1),
            torch.from_numpy(mask),
            torch.tensor(sample.label),
            torch.tensor(index),
            torch.tensor(sample.mask_known),
            torch.from_numpy(valid),
        )

    def _crop(self, image: Image.Image, pose: Pose | None) -> Image.Image:
        (resized_h, resized_w), (height, width) = self.resize, self.image_size
        top, left = (resized_h - height) // 2, (resized_w - width) // 2
        if pose is not None and pose.down is not None:
            top = int(pose.down * (resized_h - height + 1))
        if pose is not None and pose.right is not None:
            left = int(pose.right * (resized_w - width + 1))
        return image.crop((left, top, left + width, top + height))


def _turned(image: Image.Image, pose: Pose | None, resampling: Image.Resampling) -> Image.Image:
    """What comes in at the corners is the image reflected at its border, the edge repeated."""
    if pose is None:
        return image
    margin = math.ceil(max(image.size) / 2 * abs(math.sin(math.radians(pose.angle)))) + 1  # of what comes in
    pixels = np.asarray(image)
    wide = Image.fromarray(np.pad(pixels, [(margin, margin)] * 2 + [(0, 0)] * (pixels.ndim - 2), "symmetric"))
    turned = wide.rotate(pose.angle, resampling)
    return turned.crop((margin, margin, margin + image.width, margin + image.height))


def _lit(pixels: npt.NDArray[np.uint8], light: float) -> npt.NDArray[np.uint8]:
    return pixels if light == 1 else (np.arange(256) * light).round().clip(0, 255).astype(np.uint8)[pixels]


def _turned_mask(mask: Image.Image, pose: Pose | None) -> Image.Image:
    """Nearest; nothing that comes in at the corners is anomalous."""
    return mask if pose is None else mask.rotate(pose.angle, Image.Resampling.NEAREST)
