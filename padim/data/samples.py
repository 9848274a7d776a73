"""One image of a data set, from its path to a batch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import InterpolationMode, functional

from padim.data.cache import ImageCache
from padim.data.decoding import Frame, Mask, read_content, read_mask, read_rgb
from padim.data.pose import Pose, cropped, lit, turned, turned_mask
from padim.data.scaling import Scaling, Size

__all__ = ["Batch", "Frame", "ImageDataset", "Mask", "Pose", "Reader", "Sample", "Size", "read_rgb"]


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
        view: number of the view that augmentation made of it; 0 is the image as it is.
    """

    path: Path
    kind: str = "good"
    mask: Mask | None = None
    pose: Pose | None = None
    light: float = 1.0
    view: int = 0

    def name(self, root: Path) -> str:
        """Its path from there, the same on every machine."""
        return Path(os.path.relpath(self.path, root)).as_posix()

    def view_name(self, root: Path) -> str:
        """Its name, and which view of it this is: no two samples of a data set share it."""
        return f"{self.name(root)}#{self.view}" if self.view else self.name(root)

    def content(self) -> str:
        """Of the file as it is now: its SHA-256 and, after ``#``, which view of it this is, unless it is as it lies."""
        return sha256(read_content(self.path)).hexdigest() + self.mark

    @property
    def mark(self) -> str:
        """Of contents whose pixels are not those of the file."""
        return f"#{self.view or 'posed'}" if self.view or self.pose else ""

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
        name: of B images, see :meth:`Sample.view_name`.
        content: of B images, see :meth:`Sample.content`.
    """

    image: Tensor
    mask: Tensor
    label: Tensor
    sample: Tensor
    mask_known: Tensor
    valid: Tensor
    name: Sequence[str]
    content: Sequence[str]


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
        root: Path = Path(),
    ) -> None:
        self.samples, self.resize, self.image_size, self.root = samples, resize, image_size, root
        self.scaling, self.cache = Scaling(resize, interpolation, keep_aspect), cache

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        sample, pose = self.samples[index], self.samples[index].pose
        image, original, content_hash = (
            self.scaling.read(sample.path) if not self.cache else self.cache.read(sample.path, self.scaling)
        )
        frame = turned(self.scaling.padded_image(image), pose, InterpolationMode.BILINEAR)
        pixels = lit(cropped(frame, pose, self.image_size), sample.light)
        # one value for all pixels: filling so many, each decoding thread would start threads of its own
        mask, valid = (torch.tensor(value).expand(self.image_size) for value in (False, True))
        if self.scaling.keep_aspect:
            inside = self.scaling.padded_mask(Image.new("1", image.size, 1))
            inside = cropped(turned(inside, pose, InterpolationMode.NEAREST), pose, self.image_size)
            (valid,) = functional.pil_to_tensor(inside)
            if not valid.any():
                raise ValueError(f"the crop dataset.image_size={self.image_size} misses {sample.path}; enlarge it")
        if sample.mask is not None:
            truth = read_mask(sample.mask, sample.path, original)
            truth = functional.resize(truth, [image.height, image.width], InterpolationMode.NEAREST)
            truth = turned_mask(self.scaling.padded_mask(truth), pose)
            mask = functional.pil_to_tensor(cropped(truth, pose, self.image_size))[0] & valid
        return Batch(
            functional.pil_to_tensor(pixels),
            mask,
            torch.tensor(sample.label),
            torch.tensor(index),
            torch.tensor(sample.mask_known),
            valid,
            sample.view_name(self.root),
            content_hash + sample.mark,
        )
