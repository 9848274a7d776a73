"""Charts as SVG: lines, points and areas between two axes, coloured by the page's style sheet."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.ticker import Locator, LogLocator, MaxNLocator

WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 350, 20, 226

Point = tuple[float, float]


class Axis(NamedTuple):
    """What an axis stands for.

    Attributes:
        label: below it, or beside it.
        low, high: its ends.
        log: whether equal steps are equal factors.
    """

    label: str
    low: float
    high: float
    log: bool = False

    def part(self, value: float) -> float:
        """Where a value lies, from 0 to 1; what lies beyond an end is put there."""
        low, high, value = (math.log(max(x, 1e-300)) if self.log else x for x in (self.low, self.high, value))
        return min(max((value - low) / (high - low), 0.0), 1.0)

    @property
    def ticks(self) -> list[float]:
        return [float(tick) for tick in self._locator.tick_values(self.low, self.high) if self.low <= tick <= self.high]

    @property
    def _locator(self) -> Locator:
        if self.log and self.high > 10 * self.low:
            return LogLocator(subs=(1, 2, 5) if self.high < 1000 * self.low else (1,))
        return MaxNLocator(6, steps=[1, 2, 5, 10])


class Chart:
    """Two axes, and what is drawn between them.

    Args:
        title: what the chart shows, for those who do not see it.
    """

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.title, self.x, self.y = title, x, y
        self.drawn: list[Markup] = []

    def line(self, points: Iterable[Point], kind: str) -> None:
        """Through these points.

        Args:
            kind: names of classes of the style sheet.
        """
        self.drawn.append(Markup('<polyline class="{}" points="{}"/>').format(f"line {kind}", self._path(points)))

    def area(self, points: Iterable[Point], kind: str) -> None:
        """Within these points."""
        self.drawn.append(Markup('<polygon class="{}" points="{}"/>').format(f"area {kind}", self._path(points)))

    def upright(self, value: float, label: str) -> None:
        """A line at a value of x, its label above."""
        left, part = self._place((value, self.y.low))[0], self.x.part(value)
        anchor = "start" if part < 0.2 else "end" if part > 0.8 else "middle"
        self.drawn.append(
            Markup(
                '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
                '<text class="label" x="{0}" y="{3}" text-anchor="{4}">{5}</text>'
            ).format(left, TOP, BOTTOM, TOP - 5, anchor, label)
        )

    @property
    def svg(self) -> Markup:
        across, up = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
        return Markup(
            '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}<text class="title" x="{}" y="{}" text-anchor='
            '"middle">{}</text><text class="title" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}'
            "</text></svg>"
        ).format(
            *(WIDTH, HEIGHT, self.title, self._grid(), Markup().join(self.drawn)),
            *(across, HEIGHT - 8, self.x.label, up, self.y.label),
        )

    def _grid(self) -> Markup:
        across = Markup(
            '<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><text x="{0}" y="{3}" '
            'text-anchor="middle">{4:g}</text>'
        )
        up = Markup(
            '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" '
            'text-anchor="end">{5:g}</text>'
        )
        lines = [across.format(self._place((tick, 0))[0], TOP, BOTTOM, BOTTOM + 16, tick) for tick in self.x.ticks]
        for tick in self.y.ticks:
            height = self._place((0, tick))[1]
            lines.append(up.format(LEFT, RIGHT, height, LEFT - 6, round(height + 4, 1), tick))
        return Markup().join(lines)

    def _place(self, point: Point) -> Point:
        x, y = self.x.part(point[0]), self.y.part(point[1])
        return round(LEFT + x * (RIGHT - LEFT), 1), round(BOTTOM - y * (BOTTOM - TOP), 1)

    def _path(self, points: Iterable[Point]) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in map(self._place, points))
