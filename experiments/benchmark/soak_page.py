"""The page of a long run of padim-predict."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments.benchmark.report import PACKAGES, machine

PAGE = """\
# padim-predict over many images

Written by `python -m experiments.benchmark.soak --images {images} --write` on {date}; do not edit, run it again.

{machine}

One process predicts {images} generated images of 96 pixels, with its defaults: batches of 16, a picture of each image
under its map, contact sheets at the end. Its resident memory is looked at from outside, from the first record on. All
images differ, except the last, which is the first again.

{table}

![Memory against images]({picture})
"""


class Sample(NamedTuple):
    """One look at the process: seconds from its start, images on record, MB in memory."""

    seconds: float
    images: int
    megabytes: float


class Soak(NamedTuple):
    """What a long run gave.

    Attributes:
        samples: in order.
        images: how many were predicted.
        first, last: scores of the first and of the last image, whose content is the same.
        written: GB.
    """

    samples: Sequence[Sample]
    images: int
    first: float
    last: float
    written: float

    def at(self, share: float) -> Sample:
        """The first look at which that share of the images was on record; the last one where there is none."""
        return next((s for s in self.samples if s.images >= share * self.images), self.samples[-1])

    @property
    def growth(self) -> float:
        """MB per 1000 images, by least squares, from a tenth of the images on."""
        later = [s for s in self.samples if s.images >= self.images / 10]
        if len(later) < 2 or later[0].images == later[-1].images:
            return float("nan")
        return 1000 * float(np.polyfit([s.images for s in later], [s.megabytes for s in later], 1)[0])

    def speed(self, start: float, end: float) -> float:
        """Images a second between two shares of the images."""
        one, other = self.at(start), self.at(end)
        return (other.images - one.images) / max(other.seconds - one.seconds, 1e-9)

    def table(self) -> str:
        """Memory over time, in Markdown, and what else was to be the same at both ends."""
        looks = [self.at(share) for share in (0.01, 0.02, 0.05, *np.linspace(0.1, 1, 10))]
        lines = ["| images | seconds | memory, MB |", "| --- | --- | --- |"]
        lines += [f"| {s.images} | {s.seconds:.0f} | {s.megabytes:.0f} |" for s in dict.fromkeys(looks)]
        half = [s.megabytes for s in self.samples if s.images >= self.images / 2]
        early, late = self.speed(0.1, 0.2), self.speed(0.8, 0.9)
        differs = abs(self.first - self.last) / abs(self.first)
        same = "the same digits" if differs == 0 else f"{differs:.0e} of it apart"
        return "\n".join(
            [
                *lines,
                "",
                f"- growth: {self.growth:+.2f} MB per 1000 images, by least squares from a tenth of the images on",
                f"- second half: {min(half):.0f} to {max(half):.0f} MB in {len(half)} looks",
                f"- images a second: {early:.0f} in the second tenth, {late:.0f} in the ninth",
                f"- score of the first image {self.first!r}, of the last, the same image, {self.last!r}: {same}",
                f"- written: {self.written:.2f} GB",
            ]
        )


def draw(soak: Soak, path: Path) -> None:
    """Memory against images."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([s.images for s in soak.samples], [s.megabytes for s in soak.samples], color="#0072B2", linewidth=1.2)
    top = 1.15 * max(s.megabytes for s in soak.samples)
    axes.set(xlabel="images on record", ylabel="resident memory (MB)", ylim=(0, top), xlim=(0, soak.images))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def page(soak: Soak, picture: str) -> str:
    """The table with what it takes to judge it."""
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine(PACKAGES),
        images=soak.images,
        table=soak.table(),
        picture=picture,
    )
