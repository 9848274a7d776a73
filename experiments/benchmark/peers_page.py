"""The page of the comparison with anomalib."""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from experiments.benchmark.report import machine
from experiments.benchmark.timing import Pair

PACKAGES = ("torch", "timm", "padim", "anomalib")
NOTES = Path(__file__).with_name("PEERS_NOTES.md")
HEADER = """\
| measured | model | padim | anomalib | anomalib / padim | lowest to highest | wanted | |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
PAGE = """\
# Beside anomalib

Written by `make bench-peers` on {date}; do not edit, run it again.

{machine}

Both sides have the same network with the same random weights, the same drawn channels, the same images of 224 pixels
and the same threads (`OMP_WAIT_POLICY=passive`: waiting ones sleep), and take turns within one run. A fit is
normalisation, network, statistics and factorisation (or inversion) of N decoded images in batches of 32, in a process
of its own, whose peak of memory is given; imports are not in its seconds. Of anomalib it is the torch model alone,
without its engine. The Mahalanobis stage goes from what each side calls its features (padim: the feature maps;
anomalib: the replicated and joined embedding) to the anomaly map. Figures are medians, ratios the medians of the ratios
of turns. Meanwhile other processes used {others:.2f} cores.{stopped}

{table}

## Do they agree?

On the same channels the Mahalanobis distances differ by at most {disagreements} of themselves (float32, test images).
{notes}"""


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Attributes:
        what: was measured.
        model: it was measured on.
        pairs: of padim and of anomalib, in ``unit``, of each turn.
        wanted: the lowest ratio wanted.
        reason: why there is nothing of anomalib.
    """

    what: str
    model: str
    pairs: Sequence[Pair]
    unit: str
    wanted: float | None = None
    reason: str = ""

    @property
    def ratio(self) -> float:
        """How many times more anomalib takes; NaN where it does not do it."""
        return median(theirs / ours for ours, theirs in self.pairs)

    def __str__(self) -> str:
        """As in HEADER."""
        ours, theirs = (median(side) for side in zip(*self.pairs, strict=True))
        cells = [self.what, self.model, "" if math.isnan(ours) else f"{ours:.3g} {self.unit}"]
        if math.isnan(theirs):
            return f"| {' | '.join([*cells, self.reason, '', '', '', ''])} |"
        ratios = [theirs / ours for ours, theirs in self.pairs]
        spread = f"{min(ratios):.1f} to {max(ratios):.1f} ({len(ratios)})"
        wanted = "" if self.wanted is None else f">= {self.wanted:g}"
        cells += [f"{theirs:.3g} {self.unit}", f"{self.ratio:.1f}", spread, wanted, self._verdict()]
        return f"| {' | '.join(cells)} |"

    def _verdict(self) -> str:
        if self.wanted is None:
            return ""
        return "met" if self.ratio >= self.wanted else f"**missed by {self.wanted - self.ratio:.1f}**"


def page(rows: Sequence[Comparison], disagreements: Mapping[str, float], others: float, stopped: bool = False) -> str:
    """The table with what it takes to judge it, and the notes.

    Args:
        disagreements: largest relative difference of the distances of both, by model.
        others: cores that other processes used meanwhile.
        stopped: whether rows are missing.
    """
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine(PACKAGES),
        table="\n".join([HEADER, *map(str, rows)]),
        disagreements=" and ".join(f"{value:.0e} ({name})" for name, value in disagreements.items()),
        others=others,
        stopped=" The run was stopped: rows are missing." if stopped else "",
        notes=NOTES.read_text() if NOTES.is_file() else "",
    )
