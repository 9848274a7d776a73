"""The page of the scaling measurements: tables, a picture, the plan."""

import datetime
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.benchmark.report import PACKAGES, machine
from experiments.benchmark.scaling_plan import Campus, plan
from experiments.benchmark.scaling_point import Figures

Found = Mapping[str, Mapping[str, Figures]]
"""By axis and value."""

TITLES = {
    "images": "Images: R18-Rd100 at 224 pixels",
    "image size": "Grid: R18-Rd100; the finest grid is a quarter of the image's side",
    "channels": "Channels: at 224 pixels",
    "layers": "Levels: R18 at 224 pixels, all channels of the layers (64, 128, 256)",
}
PAGE = """\
# Scaling

Written by `make bench-scaling` on {date}; do not edit, run it again.

{machine}

Each line is a fit in a process of its own, with random weights. The peak of memory is the fit's. `rest` is what is
neither statistics nor whitening: libraries, network, activations of a batch of 32. Times of steps are medians of three,
in batches of 32; the factorisation is once a fit; `head` is distance, map and score, in a batch and for one image.
Meanwhile other processes used {others:.2f} cores.{stopped}

The memory of a fit is 4 sum P_l d_l D_l bytes of scatter, as much of whitening, 8 sum P_l D_l of means, and the rest:
P_l the positions of a level, d_l its own channels, D_l all up to it. Nothing of it depends on the number of images.
Update and head take time in proportion to the same sum, the factorisation to sum P_l d_l D_l^2.

![Time and memory]({picture})

{tables}

{plan}"""
COLUMNS = {
    "fit": ("fit, s", "fit", ".1f"),
    "peak": ("peak, GB", "peak", ".2f"),
    "statistics": ("statistics, GB", "statistics", ".3f"),
    "whitening": ("whitening, GB", "whitening", ".3f"),
    "rest": ("rest, GB", "rest", ".2f"),
    "backbone": ("backbone, ms/image", "backbone", ".1f"),
    "update": ("update, ms/image", "update", ".2f"),
    "factorisation": ("factorisation, s", "factorisation", ".2f"),
    "head": ("head, ms/image", "head", ".2f"),
    "head alone": ("head, ms, one image", "head alone", ".1f"),
}


def page(found: Found, campus: Mapping[str, Campus], picture: str, others: float, stopped: bool) -> str:
    """All of it; ``others`` are the cores that other processes used meanwhile."""
    tables = "\n\n".join(f"## {TITLES[axis]}\n\n{table(axis, found[axis])}" for axis in TITLES if found[axis])
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine(PACKAGES),
        picture=picture,
        tables=tables,
        plan=plan(campus),
        others=others,
        stopped=" The run was stopped: points are missing." if stopped else "",
    )


def table(axis: str, points: Mapping[str, Figures]) -> str:
    """One line a point."""
    lines = [
        f"| {axis} | {' | '.join(title for title, _, _ in COLUMNS.values())} |",
        "| --- " * (1 + len(COLUMNS)) + "|",
    ]
    for value, figures in points.items():
        full = figures | {"rest": figures["peak"] - figures["statistics"] - figures["whitening"]}
        cells = [f"{full[key]:{form}}" for _, key, form in COLUMNS.values()]
        lines.append(f"| {value} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: Found, path: Path) -> None:
    """Time above, memory below, a column an axis."""
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    panels = figure.subplots(2, len(TITLES))
    for column, axis in enumerate(TITLES):
        points = found[axis]
        _times(panels[0][column], axis, points)
        _memory(panels[1][column], axis, points)
    panels[0][0].set_ylabel("fit (s)")
    panels[1][0].set_ylabel("memory of a fit (GB)")
    figure.legend(*panels[0][1].get_legend_handles_labels(), loc="outside right upper", title="time, other panels")
    figure.legend(*panels[1][1].get_legend_handles_labels(), loc="outside right lower", title="memory")
    figure.savefig(path, dpi=85)


def _times(axes: Axes, axis: str, points: Mapping[str, Figures]) -> None:
    if axis == "images":
        counts = [int(value) for value in points]
        axes.plot(counts, [f["fit"] for f in points.values()], "ok-")
        axes.set(xlim=(0, None), ylim=(0, None))
    else:
        places = range(len(points))
        for (key, label), colour, marker in zip(TIMES.items(), COLOURS, "sovD", strict=True):
            scale = 1000 if key == "factorisation" else 1
            line = "-" if axis == "image size" else ""
            axes.plot(places, [scale * f[key] for f in points.values()], marker + line, color=colour, label=label)
        axes.set_yscale("log")
        _name(axes, points)
    axes.set_title(axis)
    axes.grid(alpha=0.3)


COLOURS = ("#999999", "#0072B2", "#D55E00", "#009E73")
TIMES = {
    "backbone": "backbone (ms/image)",
    "update": "update (ms/image)",
    "factorisation": "factorisation (ms)",
    "head": "head (ms/image)",
}


def _memory(axes: Axes, axis: str, points: Mapping[str, Figures]) -> None:
    """Stacked: the rest below, statistics and whitening on it."""
    below = [f["peak"] - f["statistics"] - f["whitening"] for f in points.values()]
    axes.bar(range(len(points)), below, color="#BBBBBB", label="rest")
    for key, colour in (("statistics", "#0072B2"), ("whitening", "#E69F00")):
        heights = [f[key] for f in points.values()]
        axes.bar(range(len(points)), heights, bottom=below, color=colour, label=key)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    _name(axes, points)
    axes.set_xlabel(axis)


def _name(axes: Axes, points: Mapping[str, Figures]) -> None:
    axes.set_xticks(range(len(points)), list(points), rotation=30, ha="right", fontsize=7)
