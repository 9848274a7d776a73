"""More training images from those there are."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from padim.data.samples import Pose, Sample, Size


@dataclass(frozen=True)
class Augmentation:
    """Views of every training image, each of which counts in the statistics as an image.

    A view depends on the seed, the path from the root and the number of the repeat alone: on no order, worker or epoch.

    Attributes:
        repeats: views of an image; the first is the image as it is.
        angle: degrees, at most, that the others are turned by.
        light: at most, the share that they are brighter or darker by.
        shift: pixels, at most, that their crops are moved by, down or up and to the right or left.
        seed: of the draw.
    """

    repeats: int = 1
    angle: float = 0.0
    light: float = 0.0
    shift: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"augmentation.repeats={self.repeats}; it must be 1 (every image once) or more")
        if not 0 <= self.angle <= 180 or not 0 <= self.light < 1:
            raise ValueError(
                f"augmentation.angle={self.angle}, augmentation.light={self.light}; the angle must be 0 to 180 "
                "degrees, the light at least 0 and below 1"
            )
        if self.shift < 0:
            raise ValueError(f"augmentation.shift={self.shift}; it must be 0 (no shift) or more pixels")
        if self.seed < 0:
            raise ValueError(f"augmentation.seed={self.seed}; it must be 0 or more")

    def require_room(self, resize: Size, image_size: Size) -> None:
        """Raise where a crop from the centre cannot be moved so far."""
        room = min(frame - crop for frame, crop in zip(resize, image_size, strict=True)) // 2
        if self.shift > room:
            raise ValueError(
                f"augmentation.shift={self.shift}; around the crop dataset.image_size={list(image_size)} of "
                f"dataset.resize={list(resize)} there are {room} pixels: lower the shift or enlarge dataset.resize"
            )

    def views(self, samples: list[Sample], root: Path) -> list[Sample]:
        """The samples, and then their other views, repeat by repeat."""
        return samples + [self._view(sample, root, repeat) for repeat in range(1, self.repeats) for sample in samples]

    def _view(self, sample: Sample, root: Path, repeat: int) -> Sample:
        rng = np.random.default_rng([self.seed, repeat, *os.fsencode(sample.name(root))])
        turn, light = rng.uniform(-self.angle, self.angle), rng.uniform(1 - self.light, 1 + self.light)
        down, right = rng.integers(-self.shift, self.shift, 2, endpoint=True).tolist()
        pose = sample.pose or Pose(0.0)
        pose = replace(pose, angle=pose.angle + turn, shift=(down, right))
        return replace(sample, pose=pose, light=sample.light * light, view=repeat)
