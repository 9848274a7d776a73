"""The table of the benchmark, and the page that holds it."""

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch

from experiments.benchmark.timing import Pair

PACKAGES = ("torch", "timm", "pytorch-lightning", "padim")
NOTES = Path(__file__).with_name("NOTES.md")
HEADER = """\
| measured / compared with | model | median | lowest to highest | target | | medians of both |
| --- | --- | --- | --- | --- | --- | --- |"""

PAGE = """\
# Benchmark

Written by `{command}` on {date}; do not edit, run it again.

{machine}

Every figure is the median of ratios; the two sides of a ratio are measured in turn within one run, with random weights
and images of 224 pixels. N is the number of training images. The run took {minutes:.0f} minutes; meanwhile other
processes used {others:.2f} cores. What they disturbed most was measured again.

{table}

## Where the time of whole commands goes

What takes less than 2 % is not shown. *Meanwhile* is the time of one core in other threads, which decode the next batch
while the network works on one; the command waits for it as long as the line *waiting for images* says. R18-Rd100, once.

{stages}
"""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: was measured / compared with what.
        model: it was measured on.
        pairs: measured and compared with, in ``unit``, of each repetition.
        unit: of both numbers of a pair.
        target: the highest ratio wanted.
        form: of the ratio, a format specification.
    """

    what: str
    model: str
    pairs: Sequence[Pair]
    unit: str
    target: float | None = None
    form: str = ".3f"

    @property
    def ratios(self) -> list[float]:
        return [measured / compared for measured, compared in self.pairs]

    def __str__(self) -> str:
        """As in HEADER."""
        figure, lowest, highest = (f"{f(self.ratios):{self.form}}" for f in (median, min, max))
        target = "" if self.target is None else f"<= {self.target:{self.form}}"
        both = " / ".join(f"{median(side):.3g}" for side in zip(*self.pairs, strict=True))
        spread = f"{lowest} to {highest} ({len(self.pairs)})"
        cells = (self.what, self.model, figure, spread, target, self._verdict(), f"{both} {self.unit}")
        return f"| {' | '.join(cells)} |"

    def _verdict(self) -> str:
        if self.target is None:
            return ""
        excess = median(self.ratios) - self.target
        return f"**missed by {excess:{self.form}}**" if excess > 0 else "met"


def page(rows: Sequence[Row], stages: str, command: str, seconds: float, others: float) -> str:
    """The table with what it takes to judge it, and the notes of those who tried to improve it.

    Args:
        stages: the table of :mod:`experiments.benchmark.stages`.
        command: that measured it.
        seconds: it took.
        others: cores that other processes used meanwhile.
    """
    generated = PAGE.format(
        command=command,
        minutes=seconds / 60,
        others=others,
        date=datetime.date.today(),
        machine=machine(PACKAGES),
        table="\n".join([HEADER, *map(str, rows)]),
        stages=stages,
    )
    return generated + (f"\n{NOTES.read_text()}" if NOTES.is_file() else "")


def machine(packages: Sequence[str]) -> str:
    """Two lines: what it was measured on, and with which versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"- machine: {_processor()}, {torch.get_num_threads()} threads, {memory:.0f} GB of memory\n"
        f"- versions: python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    """Its name; Python knows it on Linux only from where the kernel tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
