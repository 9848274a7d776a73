"""What each configuration costs beside what it gives: tables VII and VIII of the paper, and more."""

from collections.abc import Sequence
from statistics import fmean

from padim.report.averages import average, by_class
from padim.report.cell import Cell, labels
from padim.report.found import by_cell
from padim.report.paper import read_costs
from padim.report.results import METRICS, Result
from padim.report.sheet import Column, Entry, Percent, Quantity, Sheet

COLUMNS = [
    Column("model", "model", number=False),
    Column("backbone", "backbone", number=False),
    Column("layers", "layers", number=False),
    Column("data set", "dataset", number=False),
    Column("images", "train_images"),
    *(Column(title, metric, spread=True) for metric, title in METRICS.items()),
    Column("fit, s", "fit_seconds"),
    Column("image, ms", "image_ms"),
    Column("paper", "image_ms_paper"),
    Column("model, MB", "model_mb"),
    Column("paper", "model_mb_paper"),
    Column("peak, MB", "peak_mb"),
]
NOTES = (
    "Times and memory are means over the runs of a line. An image takes what its score takes, once it is in memory; "
    "the paper's times are of one core of an i7-4710HQ.",
    "The model is what scoring needs in memory, network included; the paper's has full matrices. The peak is of the "
    "whole process: of one fit and one test only where each run had a process of its own (hydra/launcher=local).",
)
MIB = 2**20 / 1e6


def costs_sheet(results: Sequence[Result]) -> Sheet | None:
    """One row per configuration of which a run has told its costs; None where there is none."""
    cells = by_cell(one for one in results if "image_seconds" in one.costs)
    if not cells:
        return None
    names = labels(list(cells))
    rows = [[names[cell], cell.network, cell.layers, cell.dataset, *_figures(cell, own)] for cell, own in cells.items()]
    return Sheet("costs", "Quality, time and memory", COLUMNS, rows, list(NOTES))


def _figures(cell: Cell, own: Sequence[Result]) -> list[Entry]:
    classes = sorted({one.category for one in own})
    averages = [average(by_class(own, metric), classes) for metric in METRICS]
    seconds, gigabytes = _printed(cell)

    def mean(name: str, factor: float = 1.0) -> float:
        return factor * fmean(one.costs[name] for one in own)

    fits = [one.costs["fit_seconds"] for one in own if "fit_seconds" in one.costs]
    return [
        Quantity(mean("train_images"), 0),
        *(Percent(one.mean, one.std, otherwise="") for one in averages),
        Quantity(fmean(fits) if fits else None, 1),
        Quantity(mean("image_seconds", 1000), 1),
        Quantity(None if seconds is None else 1000 * seconds, 0),
        Quantity(mean("model_mb", MIB), 0),
        Quantity(None if gigabytes is None else 1000 * gigabytes, 0),
        Quantity(mean("peak_memory_mb", MIB), 0),
    ]


def _printed(cell: Cell) -> tuple[float | None, float | None]:
    """The paper's seconds an image and GB."""
    for row in read_costs():
        if row.cells([cell]):
            return row.seconds, row.memory.get(cell.dataset)
    return None, None
