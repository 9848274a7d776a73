"""The drawing of a report's pictures.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; their yellow, too pale for a line, is a
grey here. Lines differ in markers or dashes too, for those who print.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import cycle
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from padim.report.averages import Average
from padim.report.curves import Curve
from padim.report.results import METRICS
from padim.writing import whole

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
TITLES = {"image_roc": "ROC of images", "pixel_roc": "ROC of pixels", "pro": "overlap of regions (PRO)"}
LIMITS = {"image_roc": 1.0, "pixel_roc": 0.3, "pro": 0.3}  # of pixels: where the paper's integral for PRO ends
PAPER = "paper"

Averages = Mapping[str, Mapping[str, Average]]
"""By label and class."""


def draw_dimensions(panels: Mapping[str, Mapping[str, Mapping[int | None, Average]]], path: Path) -> None:
    """Each metric against the dimension, with its deviation over seeds.

    Args:
        panels: by metric, reduction and dimension; what has no dimension is a level.
    """
    figure = Figure(figsize=(3.6 * len(panels) + 0.4, 4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (metric, lines) in zip(row, panels.items(), strict=True):
        for colour, marker, (label, averages) in zip(cycle(COLOURS), cycle(MARKERS), lines.items(), strict=False):
            _level(axes, averages, colour, label)
            dims = sorted(dim for dim in averages if dim is not None)
            if dims:
                means, spreads = _heights(averages[dim] for dim in dims)
                axes.errorbar(dims, means, spreads, color=colour, marker=marker, capsize=3, label=label)
        low, high = axes.get_ylim()
        axes.set(xlabel="dimension", ylabel=f"{METRICS[metric]} (%)", ylim=(low, min(high, 100 + 0.03 * (high - low))))
    _finish(figure, row, path)


def _level(axes: Axes, averages: Mapping[int | None, Average], colour: str, label: str) -> None:
    level = averages.get(None, Average(None))
    if level.mean is not None:
        spread = level.std or 0.0
        axes.axhline(level.mean, color=colour, linestyle="--", label=label)
        axes.axhspan(level.mean - spread, level.mean + spread, color=colour, alpha=0.15, linewidth=0)


def draw_classes(panels: Mapping[str, Averages], paper: Mapping[str, Averages], path: Path) -> None:
    """A group of bars for each class. The axes do not begin at 0.

    Args:
        panels: by metric; the same labels and classes in each.
        paper: its values of some of them, a line across the bar.
    """
    some = next(iter(panels.values()))
    classes = list(next(iter(some.values())))
    width = min(max(6.0, 1.5 + len(classes) * (0.25 + 0.15 * len(some))), 14.0)
    figure = Figure(figsize=(width, 0.6 + 2.4 * len(panels)), layout="constrained")
    column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (metric, bars) in zip(column, panels.items(), strict=True):
        lows = [
            _bars(axes, label, by_class, paper.get(metric, {}).get(label, {}), (number, len(bars)))
            for number, (label, by_class) in enumerate(bars.items())
        ]
        axes.set(ylabel=f"{METRICS[metric]} (%)", ylim=(_below(min(lows), 5, 2), 100.5))
    column[-1].set_xlim(-0.6, len(classes) - 0.4)
    slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(classes) > 4 else {}
    column[-1].set_xticks(range(len(classes)), classes, **slanted)
    _finish(figure, column, path)


def _bars(
    axes: Axes, label: str, by_class: Mapping[str, Average], paper: Mapping[str, Average], which: tuple[int, int]
) -> float:
    """One bar for each class, the first of so many of its group. Returns the lowest value."""
    number, count = which
    thickness = min(0.8 / count, 0.3)
    places = [place + thickness * (number + 0.5 - count / 2) for place in range(len(by_class))]
    colour = COLOURS[number % len(COLOURS)]
    means, spreads = _heights(by_class.values())
    axes.bar(places, means, 0.9 * thickness, color=colour, yerr=spreads, capsize=2, ecolor="0.3", label=label)
    lines = [paper.get(name, Average(None)).mean or math.nan for name in by_class]
    lines = [math.nan if math.isnan(mean) else line for mean, line in zip(means, lines, strict=True)]
    if not all(map(math.isnan, lines)):
        half = 0.45 * thickness
        axes.errorbar(places, lines, xerr=half, fmt="none", ecolor="black", elinewidth=2, label=PAPER)
    return min((value for value in (*means, *lines) if not math.isnan(value)), default=100.0)


def draw_curves(panels: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """The upper part of each panel, where the curves differ.

    Args:
        panels: by kind of curve and label.
    """
    figure = Figure(figsize=(3.6 * len(panels) + 0.4, 3.8), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (kind, curves) in zip(row, panels.items(), strict=True):
        for number, (label, curve) in enumerate(curves.items()):
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
            axes.plot(list(curve), list(curve.values()), label=label, **style)
        low = min((value for curve in curves.values() for rate, value in curve.items() if rate >= 0.02), default=0.0)
        axes.set(xlim=(0, LIMITS[kind]), ylim=(_below(low, 0.1, 0.05), 1.01), title=TITLES[kind])
        axes.set(xlabel="false positive rate", ylabel="mean overlap" if kind == "pro" else "true positive rate")
    _finish(figure, row, path)


def draw_memory(panels: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path) -> None:
    """Memory against the images that models are fitted to. Both axes begin at 0, so that what grows with them is seen.

    Args:
        panels: MB by the number of images, by title and label.
    """
    figure = Figure(figsize=(4.2 * len(panels) + 0.4, 3.6), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, lines) in zip(row, panels.items(), strict=True):
        for colour, marker, (label, sizes) in zip(cycle(COLOURS), cycle(MARKERS), lines.items(), strict=False):
            counts = sorted(sizes)
            axes.plot(counts, [sizes[count] for count in counts], color=colour, marker=marker, label=label)
        highest = max(size for sizes in lines.values() for size in sizes.values())
        axes.set(xlabel="training images", ylabel="MB", title=title, xlim=(0, None), ylim=(0, 1.08 * highest))
    _finish(figure, row, path)


def _below(value: float, step: float, margin: float) -> float:
    """Where an axis may begin: a multiple of the step, so much below the value."""
    return max(0.0, step * math.floor((value - margin) / step))


def _heights(averages: Iterable[Average]) -> tuple[list[float], list[float]]:
    """Means and deviations; NaN, which is not drawn, for none."""
    pairs = [(one.mean, one.std) for one in averages]
    means, spreads = ([math.nan if value is None else value for value in side] for side in zip(*pairs, strict=True))
    return means, spreads


def _finish(figure: Figure, panels: Iterable[Axes], path: Path) -> None:
    """One legend for all panels, below them."""
    handles: dict[str, Artist] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    names = sorted(handles, key=lambda name: name == PAPER)
    columns = max(1, int(12 * figure.get_figwidth() / (8 + max(map(len, names)))))  # 12 letters an inch
    figure.set_figheight(figure.get_figheight() + 0.2 * math.ceil(len(names) / columns))
    shown = [handles[name] for name in names]
    figure.legend(shown, names, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    with whole(path) as part:
        figure.savefig(part, dpi=120, metadata={"Software": None})
