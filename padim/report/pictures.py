"""The pictures of a report: which results they show, and what is said below them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from padim.report.averages import Average, average, by_class
from padim.report.cell import Cell, labels
from padim.report.costs import MIB
from padim.report.curves import CURVES, Curves, mean_curve
from padim.report.found import by_cell
from padim.report.plots import COLOURS, draw_classes, draw_curves, draw_dimensions, draw_memory
from padim.report.results import METRICS, Result
from padim.report.sections import Picture, Section

Series = Mapping[str, Sequence[Result]]


def draw_section(section: Section, files: Mapping[Path, Curves], folder: Path) -> list[Picture]:
    """Bars by class and curves, each if there is something to show.

    Args:
        files: the curves of each run that has some.
    """
    return [*_class_picture(section, folder), *_curve_picture(section, files, folder)]


def _class_picture(section: Section, folder: Path) -> list[Picture]:
    series, chosen = _strongest(section.series)
    there = {one.category for own in series.values() for one in own}
    classes = [name for name in section.classes if name in there]
    panels = {}
    for metric in section.metrics:
        values = {label: by_class(own, metric) for label, own in series.items()}
        if any(values.values()):
            panels[metric] = {label: {name: average(one, [name]) for name in classes} for label, one in values.items()}
    if not panels:
        return []
    path = folder / f"{section.key}_classes.png"
    draw_classes(panels, section.paper, path)
    return [
        Picture(path.name, f"Class by class, mean and standard deviation over seeds; axes do not begin at 0{chosen}.")
    ]


def _curve_picture(section: Section, files: Mapping[Path, Curves], folder: Path) -> list[Picture]:
    """Averaged over the classes that all configurations have; those without curves are left out, and named."""
    having = {label: [one for one in own if one.folder in files] for label, own in section.series.items()}
    series, chosen = _strongest({label: own for label, own in having.items() if own})
    classes = _common(series.values())
    panels = {}
    for kind in (CURVES[metric] for metric in section.metrics if classes):
        curves = {label: mean_curve(own, files, kind, classes) for label, own in series.items()}
        if any(curves.values()):
            panels[kind] = curves
    if not panels:
        return []
    path = folder / f"{section.key}_curves.png"
    draw_curves(panels, path)
    without = [label for label, own in having.items() if not own]
    caption = f"Curves averaged over seeds and over {_named(classes)}{chosen}."
    return [Picture(path.name, caption + (f" Without curves: {', '.join(without)}." if without else ""))]


def draw_dimensions_of(results: Iterable[Result], folder: Path) -> list[Picture]:
    """The metrics against the dimension, for all that differs in nothing but the reduction."""
    groups: dict[Cell, list[Result]] = {}
    for one in (one for one in results if one.cell.method == "padim"):
        groups.setdefault(replace(one.cell, reduction="", dim=None), []).append(one)
    pictures: list[Picture] = []
    for group, own in groups.items():
        cells = by_cell(own)
        classes = _common(cells.values())
        dims = [cell.reduction for cell in cells if cell.dim is not None]
        if classes and len(dims) > len(set(dims)):
            path = folder / f"dimension_{len(pictures) + 1}.png"
            _draw_dimensions(path, cells, classes)
            pictures.append(Picture(path.name, f"{_described(group)}: averaged over {_named(classes)}."))
    return pictures


def draw_memory_of(results: Iterable[Result], folder: Path) -> list[Picture]:
    """Memory against the number of training images, of what was fitted to parts of them (dataset.shard)."""
    groups: dict[Cell, dict[int, Result]] = {}
    for one in (one for one in results if "model_mb" in one.costs):
        cell = replace(one.cell, settings=re.sub(r"dataset\.shard=\S+ ?", "", one.cell.settings).strip())
        groups.setdefault(cell, {})[int(one.costs["train_images"])] = one
    of_parts = {cell: sizes for cell, sizes in groups.items() if len(sizes) > 1}
    if not of_parts:
        return []
    names = labels(list(of_parts))
    panels = {
        title: {
            names[cell]: {count: MIB * one.costs[cost] for count, one in sizes.items()}
            for cell, sizes in of_parts.items()
        }
        for title, cost in (("fitted model, network included", "model_mb"), ("peak of the process", "peak_memory_mb"))
    }
    draw_memory(panels, folder / "memory.png")
    return [
        Picture(
            "memory.png",
            "Memory against the images that are fitted: what the fitted model takes, and the highest of a whole run, "
            "its own where each run had a process of its own (hydra/launcher=local).",
        )
    ]


def _draw_dimensions(path: Path, cells: Mapping[Cell, list[Result]], classes: Sequence[str]) -> None:
    panels = {}
    for metric in METRICS:
        lines: dict[str, dict[int | None, Average]] = {}
        for cell, own in cells.items():
            lines.setdefault(cell.reduction, {})[cell.dim] = average(by_class(own, metric), classes)
        if any(one.mean is not None for line in lines.values() for one in line.values()):
            panels[metric] = lines
    draw_dimensions(panels, path)


def _common(groups: Iterable[Iterable[Result]]) -> list[str]:
    """The classes that each group has."""
    classes = [{one.category for one in group} for group in groups]
    return sorted(set.intersection(*classes)) if classes else []


def _strongest(series: Series) -> tuple[Series, str]:
    """As many as there are colours, and what to say of the choice."""
    if len(series) <= len(COLOURS):
        return series, ""
    classes = _common(series.values())  # comparing means over other classes would be unfair
    measured = {metric for own in series.values() for one in own for metric in one.metrics}
    metric = "pixel_auroc" if "pixel_auroc" in measured else "image_auroc"

    def height(label: str) -> float:
        values = by_class(series[label], metric)
        return average(values, classes or sorted(values)).mean or 0.0

    best = sorted(series, key=height, reverse=True)[: len(COLOURS)]
    where = f" on {_named(classes)}" if classes else ""
    chosen = f"; the {len(best)} of {len(series)} with the highest {METRICS[metric]}{where}"
    return {label: own for label, own in series.items() if label in best}, chosen


def _described(cell: Cell) -> str:
    parts = [cell.dataset, cell.network, cell.layers, f"covariance {cell.covariance}"]
    parts += [f"pool {cell.pool}", f"eps {cell.eps:g}", cell.image_size, cell.settings]
    return ", ".join(filter(None, parts))


def _named(classes: Sequence[str]) -> str:
    return classes[0] if len(classes) == 1 else f"{len(classes)} classes ({', '.join(classes)})"
