"""The pictures and maps of a run, each image's under the folders and the name that it has itself."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from padim.data.ahead import cores
from padim.data.listing import Listing
from padim.export.facts import Facts
from padim.predict.colours import Scale
from padim.predict.decision import Decision
from padim.predict.finding import Finding
from padim.predict.overlay import framed, overlay
from padim.predict.placement import Map
from padim.predict.sheet import PAGE, Highest, Thumbnail, draw_sheet
from padim.writing import replace

log = logging.getLogger(__name__)

FORMATS = ("none", "npy", "tiff")
FOLDERS = ("overlays", "maps", "contact_sheet")
QUALITY = 90
LONGEST = 255
"""Bytes of a file's name, on most file systems."""


class Drawn(NamedTuple):
    """What is drawn of an image.

    Attributes:
        overlay: a JPEG file, where one is asked for.
        thumbnail: for the contact sheet, where its score may be high enough.
    """

    overlay: bytes | None
    thumbnail: Thumbnail | None


@dataclass
class Pictures:
    """What is drawn and kept of each image.

    Attributes:
        folder: of the run.
        listing: names the images.
        decision: its threshold sets the colours, where it is one of maps.
        facts: of the model; they say what its maps are good for.
        overlays: draw each image under its map, of a method that localises.
        contact_sheet: draw the highest scores together.
        maps: keep the maps, at the images' sizes: ``npy``, ``tiff``, or ``none``; of a method that localises.
        highest: what the contact sheet will show.
    """

    folder: Path
    listing: Listing
    decision: Decision
    facts: Facts
    overlays: bool
    contact_sheet: bool
    maps: str
    highest: Highest = field(default_factory=Highest)

    def __post_init__(self) -> None:
        if self.maps not in FORMATS:
            raise ValueError(f"maps={self.maps}; known are {', '.join(FORMATS)}")
        if not self.facts.localises and (self.overlays or self.maps != "none"):
            log.info("no overlays and no maps: this method scores whole images alone")
            self.overlays, self.maps = False, "none"

    @property
    def needed(self) -> bool:
        """Whether images must be kept to draw on."""
        return self.overlays or self.contact_sheet

    @property
    def has_sheets(self) -> bool:
        return (self.folder / "contact_sheet" / "1.jpg").exists()

    def draw(self, findings: Sequence[Finding]) -> Iterator[Drawn]:
        """The pictures of each in turn, as many at once as there are cores: Pillow frees the interpreter meanwhile."""
        with ThreadPoolExecutor(count := cores(), "drawing") as pool:
            for start in range(0, len(findings), count):
                yield from self._at_once(pool, findings[start : start + count])

    def _at_once(self, pool: ThreadPoolExecutor, findings: Sequence[Finding]) -> list[Drawn]:
        return list(pool.map(self._drawn, findings))

    def _drawn(self, finding: Finding) -> Drawn:
        record, name = finding.record, self.listing.name(finding.record["path"])
        scale = self._scale(finding)
        high = self.contact_sheet and self.highest.takes(record["score"])
        drawn = overlay(finding, scale) if self.overlays or high else None
        return Drawn(
            jpeg(framed(drawn, finding, name.as_posix(), scale)) if drawn and scale and self.overlays else None,
            Thumbnail.of(drawn, name.as_posix(), record, scale) if drawn and high else None,
        )

    def _scale(self, finding: Finding) -> Scale | None:
        """Of the colours of its map; None where that does not say where the image is anomalous."""
        if not self.facts.localises:
            return None
        if self.facts.peak:
            return Scale.of(self.decision, finding.record["score"])
        return Scale.of(Decision(None, None), float(finding.seen.max()))  # no map has the threshold of such scores

    def write(self, finding: Finding, drawn: Drawn) -> None:
        """Overlay and map; and remember the image, where its score is high."""
        record, name = finding.record, self.listing.name(finding.record["path"])
        if drawn.overlay:
            self._write("overlays", name, "jpg", drawn.overlay)
        if drawn.thumbnail and self.highest.takes(record["score"]):  # others may have come since it was drawn
            self.highest.add(drawn.thumbnail)
        if self.maps != "none":  # of the image's own size, and so not drawn at once as the others are
            whole = finding.placement.full(finding.seen, (record["height"], record["width"]))
            self._write("maps", name, self.maps, {"npy": npy, "tiff": tiff}[self.maps](whole))

    def remember(self, finding: Finding) -> None:
        """An image of an earlier run, for the contact sheet."""
        name, scale = self.listing.name(finding.record["path"]), self._scale(finding)
        self.highest.add(Thumbnail.of(overlay(finding, scale), name.as_posix(), finding.record, scale))

    def write_sheets(self, images: int) -> None:
        """The highest scores, in order, on pages.

        Args:
            images: of how many these are the highest.
        """
        thumbnails = self.highest.ranked
        starts = range(0, len(thumbnails), PAGE)
        for number, start in enumerate(starts, 1):
            page = f", page {number} of {len(starts)}" if len(starts) > 1 else ""
            which = f"The {len(thumbnails)} highest scores of" if len(thumbnails) < images else "All"
            sheet = draw_sheet(thumbnails[start : start + PAGE], f"{which} {images} images, highest first{page}")
            self._write("contact_sheet", Path(str(number)), "jpg", jpeg(sheet))

    def _write(self, folder: str, name: Path, suffix: str, content: bytes) -> None:
        replace(self.folder / folder / name.with_name(file_name(name.name, suffix)), content)


# In memory, since Pillow itself takes no notice of a full disk that cuts off a file.


def jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def tiff(whole: Map) -> bytes:
    file = BytesIO()
    Image.fromarray(whole).save(file, "TIFF")
    return file.getvalue()


def npy(whole: Map) -> bytes:
    file = BytesIO()
    np.save(file, whole)
    return file.getvalue()


def file_name(name: str, suffix: str) -> str:
    """With both suffixes, since x.png may lie beside x.jpg; where that is too long, cut off and with a hash instead."""
    ending = f".{suffix}"
    content = os.fsencode(name)
    if len(content) + len(ending) > LONGEST:
        ending = f"~{sha256(content).hexdigest()[:16]}{ending}"
        name = content[: LONGEST - len(ending)].decode(errors="ignore")
    return name + ending
