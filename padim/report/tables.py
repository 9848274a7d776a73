"""The paper's tables, with our results beside the paper's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from padim.report.averages import average, by_class
from padim.report.found import by_cell
from padim.report.paper import PaperRow, PaperTable, from_file
from padim.report.results import METRICS, Result
from padim.report.sheet import Column, Entry, Percent, Sheet, repetition_column

Scopes = Mapping[str, Sequence[str]]
"""The classes that are averaged over, by what this is called."""


@dataclass(frozen=True)
class Model:
    """A row of the paper, and one configuration of those found that it speaks of.

    Attributes:
        results: none where there was no run.
    """

    label: str
    row: PaperRow
    results: list[Result]


def models_of(table: PaperTable, results: Iterable[Result]) -> list[Model]:
    """The table's rows, in order; one that several configurations fit comes once for each, named by what differs."""
    cells = by_cell(one for one in results if one.cell.dataset == table.dataset and one.category in table.classes)
    models = []
    for row in table.rows:
        fitting = row.cells(cells)
        if not fitting:
            models.append(Model(row.name if row.of_padim else f"{row.name} (published)", row, []))
        common = set.intersection(*(set(cell.parts) for cell in fitting)) if fitting else set()
        for cell in fitting:
            own = " ".join(part for part in cell.parts if part not in common)
            models.append(Model(f"{row.name} ({own})" if own else row.name, row, cells[cell]))
    return models


def paper_sheet(table: PaperTable, models: Sequence[Model]) -> Sheet:
    """As the paper has it: what it averages over, its values and the differences beside ours."""
    rows, notes = [], [*_contradictions(table).values(), *filter(None, [table.note])]
    remarks: dict[str, list[str]] = {}
    for model in models:
        scopes = table.scopes(model.row)
        rows += _rows(table, model, scopes)
        for subject, remark in _remarks(table, model, scopes):
            remarks.setdefault(remark, []).append(subject)
    notes += [f"{'; '.join(subjects)}: {remark}." for remark, subjects in remarks.items()]  # what is true of many, once
    return Sheet(table.key, table.title, _columns(table, models), rows, notes)


def present_sheet(table: PaperTable, models: Sequence[Model]) -> Sheet | None:
    """Class by class, over what models have that lack some of the classes."""
    present = [{result.category for result in model.results} for model in models]
    partial = set().union(*(classes for classes in present if classes != set(table.classes)))
    if not partial:
        return None
    rows = []
    for model, classes in zip(models, present, strict=True):
        rows += _rows(table, model, {name: [name] for name in table.classes if name in partial & classes})
    title = f"{table.title}, the classes that are there"
    return Sheet(f"{table.key}_classes", title, _columns(table, models), rows)


def _columns(table: PaperTable, models: Sequence[Model]) -> list[Column]:
    columns = [Column("model", "model", number=False), Column("classes", "classes", number=False)]
    for metric in table.metrics:
        columns.append(Column(METRICS[metric], metric, spread=True))
        columns += [Column("paper", f"{metric}_paper"), Column("diff.", f"{metric}_difference")]
    return [*columns, repetition_column(one.version for model in models for one in model.results)]


def _rows(table: PaperTable, model: Model, scopes: Scopes) -> list[list[Entry]]:
    marked = {key: str(number) for number, key in enumerate(_contradictions(table), 1)}
    rows = []
    for scope, classes in scopes.items():
        averages = [average(by_class(model.results, metric), classes) for metric in table.metrics]
        row: list[Entry] = [model.label, scope]
        printed = model.row.printed.get(scope, [None] * len(averages))
        for metric, ours, paper in zip(table.metrics, averages, printed, strict=True):
            difference = None if ours.mean is None or paper is None else ours.mean - paper
            row.append(Percent(ours.mean, ours.std, otherwise="missing" if model.row.of_padim or model.results else ""))
            row.append(Percent(paper, mark=marked.get((model.row.name, scope, metric), "")))
            row.append(Percent(difference, signed=True))
        rows.append([*row, max(one.repetitions for one in averages) or ""])
    return rows


def _contradictions(table: PaperTable) -> dict[tuple[str, str, str], str]:
    """Notes on the paper's values that their own parts contradict, by row, scope and metric."""
    notes: dict[tuple[str, str, str], str] = {}
    for row in table.rows:
        for scope, values in row.parts_give.items():
            for metric, printed, value in zip(table.metrics, row.printed[scope], values, strict=True):
                if value is not None:
                    what = f"[{len(notes) + 1}] {row.name}, {scope}, {METRICS[metric]}"
                    text = f"{what}: the paper prints {printed:.1f}; its own parts give {value:.1f}."
                    notes[row.name, scope, metric] = text
    return notes


def _remarks(table: PaperTable, model: Model, scopes: Scopes) -> list[tuple[str, str]]:
    """What is missing, and what is not as it should be, each after what it is said of."""
    label = model.label
    if not model.results:
        return [(label, "no run")] if model.row.of_padim else []
    cell, present = model.results[0].cell, {result.category for result in model.results}
    absent = [name for name in table.classes if name not in present]
    remarks = [(label, f"weights from {cell.weights}")] if from_file(cell) else []
    if others := model.row.other_settings(cell):
        remarks.append((label, f"other settings than the paper's: {others}"))
    remarks += [(label, f"no run of {', '.join(absent)}")] if absent else []
    for metric in table.metrics:
        values = by_class(model.results, metric)
        empty = [name for name in table.classes if name in present and name not in values]
        remarks += [(label, f"no {METRICS[metric]} of {', '.join(empty)}")] if empty else []
        of_scopes = {scope: average(values, classes).remark for scope, classes in scopes.items()}
        remarks += [(f"{label}, {scope}, {METRICS[metric]}", text) for scope, text in of_scopes.items() if text]
    return remarks
