"""Anomaly maps as colours over the image."""

from collections.abc import Iterable
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageChops, ImageDraw

from padim.predict.decision import Decision
from padim.predict.placement import Box, Map, Placement

BOX, OUTLINE, FRAME = (0, 229, 255), (255, 255, 255), (120, 120, 120)
_LEVELS = np.linspace(0, 1, 256)
_PALETTE = (255 * matplotlib.colormaps["inferno"](_LEVELS)[:, :3]).round().astype(np.uint8)
# Nothing hides what is far below the threshold, and at the top the image still shows through.
_OPACITY = (255 * np.interp(_LEVELS, [0.2, 0.5, 1], [0, 0.4, 0.75])).round().astype(np.uint8).tolist()


class Scale(NamedTuple):
    """What the colours stand for.

    Attributes:
        top: value of the brightest colour, the darkest is 0.
        threshold: in the middle between them; None where there is none.
    """

    top: float
    threshold: float | None

    @classmethod
    def of(cls, decision: Decision, highest: float) -> "Scale":
        """From 0 to twice the threshold, the same for all images; without a threshold to the highest value of this."""
        if decision.threshold is not None and decision.threshold > 0:
            return cls(2 * decision.threshold, decision.threshold)
        return cls(highest if highest > 0 else 1.0, None)


def heated(picture: Image.Image, seen: Map, placement: Placement, scale: Scale) -> Image.Image:
    """The image under the colours of the map, outlined at the threshold, hatched where the model does not see.

    All of it in 8 bits: in floating point it would take as long as the network.
    """
    size = picture.height, picture.width
    levels = Image.fromarray(placement.full((255 * (seen / scale.top).clip(0, 1)).astype(np.uint8), size))
    drawn = Image.composite(coloured(levels), picture, levels.point(_OPACITY))
    if scale.threshold is not None and seen.max() > scale.threshold:
        above = levels.point([0] * 128 + [255] * 128)
        across, down = (ImageChops.difference(above, ImageChops.offset(above, *step)) for step in ((1, 0), (0, 1)))
        drawn.paste(OUTLINE, mask=ImageChops.lighter(across, down))
    drawn = windowed(drawn, picture, placement)
    ImageDraw.Draw(drawn).rectangle((0, 0, size[1] - 1, size[0] - 1), outline=FRAME)
    return drawn


def windowed(drawn: Image.Image, plain: Image.Image, placement: Placement) -> Image.Image:
    """What is drawn where the model sees, and the plain picture of the same size, hatched, where it does not."""
    if not placement.is_cropped:
        return drawn
    left, top, right, bottom = map(round, scaled(placement.window, plain, placement))
    outside = hatched(plain)
    outside.paste(drawn.crop((left, top, right, bottom)), (left, top))
    return outside


def hatched(picture: Image.Image) -> Image.Image:
    """Paler, with diagonal lines."""
    pale = Image.blend(picture, Image.new("RGB", picture.size, (200, 200, 200)), 0.6)
    draw, (width, height) = ImageDraw.Draw(pale), picture.size
    for end in range(0, width + height, 10):
        draw.line((end, 0, end - height, height), fill=FRAME, width=1)
    return pale


def boxed(picture: Image.Image, boxes: Iterable[Box], placement: Placement) -> None:
    """Draw around boxes of the image on a picture of it, of whatever size."""
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        left, top, right, bottom = scaled(box, picture, placement)
        corner = min(right + 1, picture.width - 1), min(bottom + 1, picture.height - 1)
        draw.rectangle((max(0, left - 2), max(0, top - 2), *corner), outline=BOX, width=2)


def scaled(box: Box, picture: Image.Image, placement: Placement) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box of the image on a picture of it."""
    across, down = picture.width / placement.columns.original, picture.height / placement.rows.original
    left, top, width, height = box
    return across * left, down * top, across * (left + width), down * (top + height)


def colour_bar(width: int, height: int) -> Image.Image:
    """The colours from 0 to the top, over grey."""
    levels = Image.fromarray(np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (height, 1)))
    return Image.composite(coloured(levels), Image.new("RGB", levels.size, (150, 150, 150)), levels.point(_OPACITY))


def coloured(levels: Image.Image) -> Image.Image:
    """Grey levels as colours."""
    palette = levels.copy()
    palette.putpalette(_PALETTE.tobytes())
    return palette.convert("RGB")
