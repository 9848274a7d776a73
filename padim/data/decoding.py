"""Image files and masks of every kind, as arrays of pixels."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One frame of a .npy file of masks, T x H x W; whatever is not 0 is anomalous."""

    path: Path
    index: int


Mask = Path | tuple[Path, ...] | Frame
"""An image file, not 0 where anomalous; several, whose union it is; or a frame of an array."""


class UnreadableImageError(ValueError):
    """An image file that holds no image."""


def read_rgb(path: Path, content: bytes | None = None) -> Image.Image:
    """An image file of any mode, as RGB; from its content where that has been read already."""
    try:
        image = ImageOps.exif_transpose(_open(path, content))
    except ValueError as error:
        raise UnreadableImageError(str(error)) from error
    if image.mode == "F":
        raise UnreadableImageError(
            f"{path} holds floating-point numbers of unknown range; save it with 8 or 16 bits a channel"
        )
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips instead of scaling
        image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
    return image.convert("RGBA" if "transparency" in image.info else image.mode).convert("RGB")


def read_mask(mask: Mask, image: Path, size: tuple[int, int]) -> Image.Image:
    """The anomalous pixels, as a picture of mode 1.

    Args:
        mask: where they are told.
        image: path of the image, for messages.
        size: height and width of the image.
    """
    paths = mask if isinstance(mask, tuple) else (mask,)
    if not paths:
        raise ValueError(f"the mask of {image} is an empty tuple; give at least one path, or None where it is unknown")
    union = np.zeros(size, bool)
    for path in paths:
        name, truth = (str(path), _truth(path)) if isinstance(path, Path) else _frame(path)
        if truth.shape != union.shape:
            height, width = truth.shape
            raise ValueError(
                f"the mask {name} is {width}x{height} pixels and its image {image} {size[1]}x{size[0]}; "
                f"they must be of one size"
            )
        union |= truth
    return Image.fromarray(union)


def _truth(path: Path) -> Truth:
    mask = _open(path)
    values = np.asarray(mask if len(mask.getbands()) == 1 else mask.convert("RGB"))  # a palette's own numbers
    return (values if values.ndim == 2 else values.any(-1)) != 0


def _frame(frame: Frame) -> tuple[str, Truth]:
    """Mapped, since a video's masks are many times the memory of one."""
    try:
        frames = np.load(frame.path, mmap_mode="r")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"cannot read the masks {frame.path} ({error}); expected a .npy file, T x H x W") from error
    if frames.ndim != 3 or not 0 <= frame.index < len(frames):
        raise ValueError(f"{frame.path} has shape {frames.shape}; expected T x H x W with a frame {frame.index}")
    return f"{frame.path} (frame {frame.index})", np.asarray(frames[frame.index]) != 0


def _open(path: Path, content: bytes | None = None) -> Image.Image:
    try:
        with Image.open(path if content is None else BytesIO(content)) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read the image {path} ({error}); replace it or take it out of the folder") from error
