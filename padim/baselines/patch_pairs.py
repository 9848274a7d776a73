"""Pairs of patches that Patch SVDD learns from (Yi & Yoon 2020, arXiv 2006.16067), drawn from images."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from padim.grids import Grid

AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0))
"""The eight positions."""
COLOUR, NOISE = 0.02, 0.02
"""Standard deviations of what is added to a colour of a patch and to a pixel, of 1: no hint at where it comes from."""


class Pairs(NamedTuple):
    """Two patches each, which lie near one another in the same image."""

    first: Float[Tensor, "N 3 K K"]
    second: Float[Tensor, "N 3 K K"]


def positioned(
    images: Float[Tensor, "B 3 H W"], side: int, each: int, generator: Generator
) -> tuple[Pairs, Int[Tensor, " N"]]:
    """The second patch is at one of eight positions around the first, and at which one; their colours are perturbed.

    It begins 3/4 of a side and up to the whole away from the first, on each axis apart, as far as the image has room.

    Args:
        side: K, of the patches.
        each: pairs of an image.
    """
    count, device = each * len(images), images.device
    which = torch.randint(len(AROUND), (count,), generator=generator, device=device)
    near = nearest_step(side)
    room = min(side // 4, min(images.shape[2:]) - side - near + 1)
    steps = near + torch.randint(room, (count, 2), generator=generator, device=device)
    pairs = cut(images, side, torch.tensor(AROUND, device=device)[which] * steps, generator)
    return Pairs(*(perturbed(patches, generator) for patches in pairs)), which


def jittered(images: Float[Tensor, "B 3 H W"], side: int, each: int, generator: Generator) -> Pairs:
    """The second patch begins up to a 32nd of a side away from the first, on each axis, and not in the same place."""
    most = side // 32
    ways = [(i, j) for i in range(-most, most + 1) for j in range(-most, most + 1) if (i, j) != (0, 0)]
    which = torch.randint(len(ways), (each * len(images),), generator=generator, device=images.device)
    return cut(images, side, torch.tensor(ways, device=images.device)[which], generator)


def nearest_step(side: int) -> int:
    """How far from the first patch the second begins at least, pixels."""
    return 3 * side // 4


def require_room(size: Grid, side: int) -> None:
    """Raise where an image of this height and width has no room for a patch and another one around it."""
    least = side + nearest_step(side)
    if min(size) < least:
        raise ValueError(
            f"images of {list(size)} pixels: method=patch_svdd compares patches of {side} pixels with those around "
            f"them, and takes {least} pixels or more on each side; enlarge dataset.image_size"
        )


def cut(images: Float[Tensor, "B 3 H W"], side: int, offsets: Int[Tensor, "N 2"], generator: Generator) -> Pairs:
    """Patches at random places, and those at these offsets from them, down and to the right, within the image.

    Args:
        offsets: the same number of every image, image by image.
    """
    image = torch.arange(len(images), device=images.device).repeat_interleave(len(offsets) // len(images))
    room = torch.tensor(images.shape[2:], device=images.device) - side - offsets.abs() + 1
    drawn = torch.rand(offsets.shape, generator=generator, device=images.device, dtype=torch.float64)
    first = (drawn * room).long() - offsets.clamp(max=0)
    return Pairs(_patches(images, image, side, first), _patches(images, image, side, first + offsets))


def _patches(
    images: Float[Tensor, "B 3 H W"], image: Int[Tensor, " N"], side: int, corners: Int[Tensor, "N 2"]
) -> Float[Tensor, "N 3 K K"]:
    span = torch.arange(side, device=images.device)
    rows, columns = corners[:, :1] + span, corners[:, 1:] + span  # (N, K)
    found = images[image[:, None, None], :, rows[:, :, None], columns[:, None]]  # (N, K, K, 3)
    return found.permute(0, 3, 1, 2).contiguous()


def perturbed(patches: Float[Tensor, "N 3 K K"], generator: Generator) -> Float[Tensor, "N 3 K K"]:
    """Each colour of a patch brighter or darker, and each pixel a little."""
    device = patches.device
    colour = torch.randn(*patches.shape[:2], 1, 1, generator=generator, device=device)
    noise = torch.randn(patches.shape, generator=generator, device=device)
    return patches + COLOUR * colour + NOISE * noise
