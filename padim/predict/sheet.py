"""Contact sheets: the highest scores at a glance."""

from collections.abc import Mapping, Sequence
from heapq import heappush, heappushpop
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from padim.predict.colours import Scale, colour_bar
from padim.predict.overlay import BAR, INK, MARGIN, font, numbers, shortened, verdict

COLUMNS, PAGE, PAGES = 6, 24, 4
CELL, CAPTION = 280, 62
PALE = (90, 90, 90)
_HATCHED = "hatched: not seen by the model"


class Thumbnail(NamedTuple):
    """One image of a sheet.

    Attributes:
        drawn: its overlay, no larger than a cell.
        name: of the image.
        record: see :func:`padim.predict.finding.record_of`.
        scale: of its colours; None where it is the image alone.
    """

    drawn: Image.Image
    name: str
    record: Mapping[str, Any]
    scale: Scale | None

    @classmethod
    def of(cls, overlaid: Image.Image, name: str, record: Mapping[str, Any], scale: Scale | None) -> "Thumbnail":
        drawn = overlaid.copy()
        drawn.thumbnail((CELL, CELL))
        return cls(drawn, name, record, scale)


class Highest:
    """As many thumbnails as the pages hold, those of the highest scores."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str, Thumbnail]] = []  # the lowest first

    def __contains__(self, path: str) -> bool:
        return any(path == held for _, held, _ in self._heap)

    def takes(self, score: float) -> bool:
        """Whether an image of this score is among them."""
        return len(self._heap) < PAGE * PAGES or score > self._heap[0][0]

    def add(self, thumbnail: Thumbnail) -> None:
        entry = thumbnail.record["score"], thumbnail.record["path"], thumbnail
        push = heappush if len(self._heap) < PAGE * PAGES else heappushpop
        push(self._heap, entry)

    @property
    def ranked(self) -> list[Thumbnail]:
        """The highest first."""
        return [thumbnail for _, _, thumbnail in sorted(self._heap, key=lambda entry: -entry[0])]


def draw_sheet(thumbnails: Sequence[Thumbnail], title: str) -> Image.Image:
    """One page.

    Args:
        thumbnails: in order, of one model: a threshold in the colours of one is in those of all.
        title: of the page.
    """
    columns = min(COLUMNS, max(3, len(thumbnails)))  # the line on the colours is as wide as three
    rows = -(-len(thumbnails) // columns)
    step, head = (CELL + MARGIN, CELL + CAPTION + MARGIN), 64
    sheet = Image.new("RGB", (columns * step[0] + MARGIN, head + rows * step[1]), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), shortened(title, sheet.width - 2 * MARGIN, font(16, True)), INK, font(16, True))
    _explain(sheet, thumbnails[0].scale)
    for index, one in enumerate(thumbnails):
        left, top = MARGIN + index % columns * step[0], head + index // columns * step[1]
        sheet.paste(one.drawn, (left + (CELL - one.drawn.width) // 2, top + (CELL - one.drawn.height) // 2))
        end = verdict(draw, (left, top + CELL + 5), one.record["alarm"], 11)
        draw.text((end + 6, top + CELL + 5), numbers(one.record), INK, font(11))
        name = shortened(one.name, CELL, font(11))
        draw.text((left, top + CELL + 24), name, INK, font(11))
        draw.text((left, top + CELL + 42), shortened(shares(one.record), CELL, font(11)), PALE, font(11))
    return sheet


def shares(record: Mapping[str, Any]) -> str:
    """What each level contributes at the peak."""
    return "   ".join(f"{share:.0%} {level}" for level, share in record["shares"].items())


def _explain(sheet: Image.Image, scale: Scale | None) -> None:
    draw, top, width = ImageDraw.Draw(sheet), 38, 160
    if scale is None:
        draw.text((MARGIN, top), f"no colours: this method scores whole images alone; {_HATCHED}", INK, font(11))
        return
    if scale.threshold is None:
        draw.text((MARGIN, top), f"colours: from 0 to the highest value of each image; {_HATCHED}", INK, font(11))
        return
    sheet.paste(colour_bar(width, BAR), (MARGIN, top + 1))
    middle = MARGIN + width // 2
    draw.line((middle, top - 1, middle, top + BAR + 2), fill=INK, width=2)
    text = f"0 to {scale.top:.4g}, the threshold {scale.threshold:.4g} in the middle; boxes: regions above it"
    draw.text((2 * MARGIN + width, top), f"{text}; {_HATCHED}", INK, font(11))
