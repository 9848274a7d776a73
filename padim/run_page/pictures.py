"""The pictures of single images, and how they lie in the page."""

import base64
import io

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from padim.predict.colours import BOX, Scale, coloured, heated, scaled
from padim.predict.placement import Axis, Map, Placement

SIDE = 320
"""The longest side of a picture, pixels."""
QUALITY = 82


def plain(image: torch.Tensor) -> Image.Image:
    """An image (3, h, w), uint8, no larger than :data:`SIDE`."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    picture.thumbnail((SIDE, SIDE))
    return picture


def outlined(picture: Image.Image, mask: torch.Tensor) -> Image.Image:
    """With a line around the anomalous pixels (h, w), bool."""
    inside = Image.fromarray(255 * mask.byte().numpy()).resize(picture.size)
    line = ImageChops.subtract(inside.filter(ImageFilter.MaxFilter(5)), inside)
    drawn = picture.copy()
    drawn.paste(BOX, mask=line)
    return drawn


def under(picture: Image.Image, seen: Map, peak: tuple[int, int], scale: Scale) -> Image.Image:
    """Under the map (h, w) of just this image, with a ring around the peak, its row and column."""
    rows, columns = (Axis(0, side, side, 0, side) for side in seen.shape)
    placement = Placement(rows, columns)
    drawn = heated(picture, seen, placement, scale)
    x, y, *_ = scaled([peak[1], peak[0], 1, 1], picture, placement)
    ImageDraw.Draw(drawn).circle((x, y), 6, outline=BOX)
    return drawn


def part(level_map: Map, top: float, size: tuple[int, int]) -> Image.Image:
    """The map of a level, from black, 0, to the brightest colour."""
    levels = Image.fromarray((255 * (level_map / (top or 1)).clip(0, 1)).astype(np.uint8))
    return coloured(levels.resize(size, Image.Resampling.BILINEAR))


def data_uri(picture: Image.Image) -> str:
    """The picture itself, as an address."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
