"""The picture of a prediction: the image under its anomaly map, what was decided, and what the levels contribute."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from padim.data.listing import printable
from padim.predict.colours import Scale, boxed, colour_bar, coloured, hatched, heated, windowed
from padim.predict.finding import Finding

INK, MARGIN, LINE, BAR = (30, 30, 30), 8, 20, 12
NARROWEST, TALLEST = 512, 130
"""Pixels: of a picture's width, and of a level map's height in it."""
VERDICTS = {True: ("ALARM", (200, 30, 30)), False: ("normal", (30, 130, 60)), None: ("no threshold", (110, 110, 110))}


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def overlay(finding: Finding, scale: Scale | None) -> Image.Image:
    """The image as it is shown under its map, with the boxes of the regions; without a scale the image alone."""
    picture, placement = finding.picture, finding.placement
    if picture is None:
        raise ValueError("this image was predicted without a picture; ask for pictures")
    if scale is None:
        return windowed(picture, picture, placement)
    drawn = heated(picture, finding.seen, placement, scale)
    boxed(drawn, (region["box"] for region in finding.record["regions"] or ()), placement)
    return drawn


def framed(overlaid: Image.Image, finding: Finding, name: str, scale: Scale) -> Image.Image:
    """An overlay with what is known of the image above, and the colours and the level maps below."""
    width = max(overlaid.width, NARROWEST)
    head, foot, strip = 2 * LINE + 2 * MARGIN, BAR + LINE + 2 * MARGIN, level_strip(overlaid, finding, width)
    canvas = Image.new("RGB", (width, head + overlaid.height + foot + strip.height), "white")
    canvas.paste(overlaid, ((width - overlaid.width) // 2, head))
    _head(canvas, finding.record, name)
    _foot(canvas, head + overlaid.height + MARGIN, scale, finding.placement.is_cropped)
    canvas.paste(strip, (0, head + overlaid.height + foot))
    return canvas


def level_strip(overlaid: Image.Image, finding: Finding, width: int) -> Image.Image:
    """The level maps side by side, placed as the overlay, with their shares of the peak; empty where there are none."""
    shares, highest = finding.record["shares"], float(finding.seen.max())
    if not shares:
        return Image.new("RGB", (width, 0))
    room = (width - MARGIN) // len(shares) - MARGIN
    factor = min(room / overlaid.width, TALLEST / overlaid.height)
    across, down = (max(1, round(factor * side)) for side in overlaid.size)
    strip = Image.new("RGB", (width, 2 * LINE + down + MARGIN), "white")
    draw = ImageDraw.Draw(strip)
    title = "the levels: share of the peak, and map, in colours from 0 to the peak"
    draw.text((MARGIN, 0), shortened(title, width - 2 * MARGIN, font(11)), INK, font(11))
    for index, (level_map, (level, share)) in enumerate(zip(finding.level_maps, shares.items(), strict=True)):
        left = MARGIN + index * (room + MARGIN)
        heat = (255 * (level_map / (highest or 1)).clip(0, 1)).astype(np.uint8)
        part = coloured(Image.fromarray(finding.placement.full(heat, (down, across))))
        strip.paste(windowed(part, Image.new("RGB", part.size, "white"), finding.placement), (left, LINE))
        draw.text((left, LINE + down + 4), shortened(f"{share:.0%} {level}", room, font(11)), INK, font(11))
    return strip


def verdict(draw: ImageDraw.ImageDraw, place: tuple[int, int], alarm: bool | None, size: int = 13) -> int:
    """A coloured label; returns where it ends."""
    text, colour = VERDICTS[alarm]
    left, top, right, bottom = draw.textbbox((place[0] + 6, place[1]), text, font(size, True))
    draw.rounded_rectangle((place[0], top - 4, right + 6, bottom + 4), 4, fill=colour)
    draw.text((left, place[1]), text, "white", font(size, True))
    return int(right) + 6


def numbers(record: Mapping[str, Any]) -> str:
    """Score, and what the calibration says of it."""
    p_value = "" if record["p_value"] is None else f"   p = {record['p_value']:.3g}"
    return f"score {record['score']:.4g}{p_value}"


def shortened(text: str, width: float, used: ImageFont.FreeTypeFont) -> str:
    """A text that is not wider; what is left out of it is in the middle."""
    text = kept = printable(text)
    for length in range(len(text) - 1, 4, -1):
        if used.getlength(kept) <= width:
            break
        kept = f"{text[: length // 3]}…{text[-(length - length // 3) :]}"
    return kept


def _head(canvas: Image.Image, record: Mapping[str, Any], name: str) -> None:
    draw = ImageDraw.Draw(canvas)
    end = verdict(draw, (MARGIN, MARGIN), record["alarm"]) + MARGIN
    draw.text((end, MARGIN), shortened(name, canvas.width - MARGIN - end, font(13, True)), INK, font(13, True))
    draw.text((MARGIN, MARGIN + LINE + 2), numbers(record) + _counted(record), INK, font(13))


def _counted(record: Mapping[str, Any]) -> str:
    if record["alarm"] is None or record["regions"] is None:
        return ""
    found = len(record["regions"])
    return f"   {found} region{'' if found == 1 else 's'} above the threshold"


def _foot(canvas: Image.Image, top: int, scale: Scale, cropped: bool) -> None:
    draw, width = ImageDraw.Draw(canvas), min(canvas.width - 2 * MARGIN, 380)
    canvas.paste(colour_bar(width, BAR), (MARGIN, top))
    middle = MARGIN + width // 2
    labels = [("0", MARGIN, "la")]
    if scale.threshold is None:
        labels += [("of this image alone", middle, "ma"), (f"{scale.top:.4g}", MARGIN + width, "ra")]
    else:
        draw.line((middle, top - 2, middle, top + BAR + 1), fill=INK, width=2)
        labels += [(f"threshold {scale.threshold:.4g}", middle, "ma"), (f"≥ {scale.top:.4g}", MARGIN + width, "ra")]
    if cropped:
        key = canvas.width - MARGIN - 2 * BAR
        canvas.paste(hatched(Image.new("RGB", (2 * BAR, BAR), "white")), (key, top))
        labels.append(("not seen", canvas.width - MARGIN, "ra"))
    for text, place, anchor in labels:
        draw.text((place, top + BAR + 4), text, INK, font(11), anchor=anchor)
