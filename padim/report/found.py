"""The table of everything found."""

from collections.abc import Iterable, Mapping, Sequence

from padim.report.averages import Average, average, by_class
from padim.report.cell import Cell
from padim.report.results import METRICS, Result
from padim.report.sheet import Column, Entry, Percent, Sheet, repetition_column

COLUMNS = [
    Column("data set", "dataset", number=False),
    Column("method", "method", number=False),
    Column("backbone", "backbone", number=False),
    Column("layers", "layers", number=False),
    Column("reduction", "reduction", number=False),
    Column("dim", "dim"),
    Column("covariance", "covariance", number=False),
    Column("pool", "pool"),
    Column("eps", "eps"),
    Column("size", "image_size", number=False),
    Column("settings", "settings", number=False),
    Column("classes", "classes"),
]


def by_cell(results: Iterable[Result]) -> dict[Cell, list[Result]]:
    """Those of each configuration, in the order in which they come."""
    cells: dict[Cell, list[Result]] = {}
    for result in results:
        cells.setdefault(result.cell, []).append(result)
    return cells


def found_sheet(results: Sequence[Result]) -> Sheet:
    """One row per configuration, averaged over the classes that it has; how many they are stands beside."""
    rows: list[list[Entry]] = []
    notes = []
    for cell, own in by_cell(results).items():
        classes = sorted({result.category for result in own})
        averages = {metric: average(by_class(own, metric), classes) for metric in METRICS}
        figures = [Percent(one.mean, one.std, otherwise="missing") for one in averages.values()]
        repetitions = max(one.repetitions for one in averages.values()) or ""
        rows.append([*_entries(cell), _count(classes), repetitions, *figures])
        notes += [f"Line {len(rows)}: {remark}." for remark in _remarks(averages)]
    metrics = [Column(title, metric, spread=True) for metric, title in METRICS.items()]
    columns = [*COLUMNS, repetition_column(one.version for one in results), *metrics]
    return Sheet("found", "Everything found, averaged over the classes that are there", columns, rows, notes)


def _entries(cell: Cell) -> list[Entry]:
    dim, eps = "" if cell.dim is None else cell.dim, "" if cell.eps is None else f"{cell.eps:g}"
    head: list[Entry] = [cell.layers, cell.reduction, dim, cell.covariance, cell.pool, eps]
    return [cell.dataset, cell.method, cell.network, *head, cell.image_size, cell.settings]


def _count(classes: Sequence[str]) -> str:
    return f"1 ({classes[0]})" if len(classes) == 1 else str(len(classes))


def _remarks(averages: Mapping[str, Average]) -> list[str]:
    """Once, if true of every metric."""
    remarks = {one.remark: None for one in averages.values() if one.remark}
    lacking = {METRICS[metric]: one.missing for metric, one in averages.items() if one.missing}
    return [*remarks, *(f"no {metric} of {', '.join(classes)}" for metric, classes in lacking.items())]
