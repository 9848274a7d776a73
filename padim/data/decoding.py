"""Image files and masks of every kind, as arrays of pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from padim.data.walk import is_special

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


def read_content(path: Path) -> bytes:
    """The bytes of an image file."""
    with _named("image", path, UnreadableImageError):
        return _content(path)


def read_rgb(path: Path, content: bytes | None = None) -> Image.Image:
    """An image file of any mode, as RGB; from its content where that has been read already."""
    with _named("image", path, UnreadableImageError):
        image = ImageOps.exif_transpose(_loaded(_content(path) if content is None else content))
        if image.mode == "F":
            raise ValueError("it holds floating-point numbers of unknown range; save it with 8 or 16 bits a channel")
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
        name, truth = (str(path), read_truth(path)) if isinstance(path, Path) else _frame(path)
        if truth.shape != union.shape:
            height, width = truth.shape
            raise ValueError(
                f"the mask {name} is {width}x{height} pixels and its image {image} {size[1]}x{size[0]}; "
                f"they must be of one size"
            )
        union |= truth
    return Image.fromarray(union)


def read_truth(path: Path) -> Truth:
    """The pixels of a mask's image file that are anomalous, (H, W): those that are not 0."""
    with _named("mask", path, ValueError):
        mask = _loaded(_content(path))
    values = np.asarray(mask if len(mask.getbands()) == 1 else mask.convert("RGB"))  # a palette's own numbers
    return (values if values.ndim == 2 else values.any(-1)) != 0


def map_masks(path: Path) -> npt.NDArray[np.generic]:
    """The array of a .npy file, of whatever shape: mapped, since a video's masks are many times the memory of one."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read the masks {path} ({error}); expected a .npy file, T x H x W") from error


def _frame(frame: Frame) -> tuple[str, Truth]:
    frames = map_masks(frame.path)
    if frames.ndim != 3 or not 0 <= frame.index < len(frames):
        raise ValueError(f"{frame.path} has shape {frames.shape}; expected T x H x W with a frame {frame.index}")
    return f"{frame.path} (frame {frame.index})", np.asarray(frames[frame.index]) != 0


def _content(path: Path) -> bytes:
    if is_special(path):
        raise ValueError("it is a pipe, a socket or a device")
    return path.read_bytes()


def _loaded(content: bytes) -> Image.Image:
    if not content:
        raise ValueError("it is empty")
    with Image.open(BytesIO(content)) as image:
        if image.format == "EPS":  # whatever its suffix
            raise ValueError("it is PostScript, a program that Pillow would have Ghostscript run")
        image.load()
        return image


@contextmanager
def _named(what: str, path: Path, error_type: type[ValueError]) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise
    except MemoryError as error:  # the image may be fine
        raise MemoryError(f"not enough memory for the {what} {path}; reduce it, or lower num_workers") from error
    except Exception as error:  # of any type: Pillow lets out what its decoders stumble over
        # Pillow's own words for it hold the address of an object.
        reason = "no known image format" if isinstance(error, UnidentifiedImageError) else error
        raise error_type(
            f"cannot read the {what} {path} ({reason}); replace it or take it out of the folder"
        ) from error
