"""How a resized image is turned, cropped and lit; its mask goes with it."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from padim.data.scaling import Size


@dataclass(frozen=True)
class Pose:
    """How an image is turned and where it is cropped.

    Attributes:
        angle: degrees, counter-clockwise about the centre.
        down, right: place of the crop between the first there is and the last, in [0, 1); None is in the centre.
        shift: pixels that the crop is moved by from there, down and to the right, as far as the image goes.
    """

    angle: float
    down: float | None = None
    right: float | None = None
    shift: tuple[int, int] = (0, 0)


def turned(image: Image.Image, pose: Pose | None, interpolation: InterpolationMode) -> Image.Image:
    """What comes in at the corners is the image reflected at its border, the edge repeated."""
    if pose is None:
        return image
    margin = math.ceil(max(image.size) / 2 * abs(math.sin(math.radians(pose.angle)))) + 1  # of what comes in
    wide = functional.pad(image, [margin], padding_mode="symmetric")
    return functional.center_crop(functional.rotate(wide, pose.angle, interpolation), [image.height, image.width])


def turned_mask(mask: Image.Image, pose: Pose | None) -> Image.Image:
    """Nearest; nothing that comes in at the corners is anomalous."""
    return mask if pose is None else functional.rotate(mask, pose.angle, InterpolationMode.NEAREST)


def cropped(image: Image.Image, pose: Pose | None, size: Size) -> Image.Image:
    """Where the pose says; in the centre, and of two such places the upper left one, where it says nothing."""
    down, right = image.height - size[0], image.width - size[1]
    top, left = down // 2, right // 2
    if pose is not None:
        top = top if pose.down is None else int(pose.down * (down + 1))
        left = left if pose.right is None else int(pose.right * (right + 1))
        top, left = min(max(top + pose.shift[0], 0), down), min(max(left + pose.shift[1], 0), right)
    return functional.crop(image, top, left, *size)


def lit(image: Image.Image, light: float) -> Image.Image:
    """An image of mode RGB, its values times ``light``: rounded, where torchvision's brightness cuts off."""
    return image if light == 1 else image.point((np.arange(256) * light).round().clip(0, 255).tolist() * 3)
