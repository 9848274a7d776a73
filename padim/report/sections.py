"""What a report consists of: the paper's tables that have runs, then everything found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from padim.report.averages import Average
from padim.report.cell import labels
from padim.report.costs import costs_sheet
from padim.report.found import by_cell, found_sheet
from padim.report.paper import PaperTable, read_paper
from padim.report.results import METRICS, Result
from padim.report.sheet import Sheet
from padim.report.tables import Model, models_of, paper_sheet, present_sheet


@dataclass(frozen=True)
class Picture:
    """A file, and what is said below it."""

    name: str
    caption: str


@dataclass(frozen=True)
class Section:
    """Tables, and what to draw below them.

    Attributes:
        key: how the names of its pictures begin.
        series: the results of some configurations, by a label.
        metrics: of the pictures.
        classes: in order.
        paper: its values by metric, label and class, where it prints them.
    """

    key: str
    sheets: list[Sheet]
    series: dict[str, list[Result]] = field(default_factory=dict)
    metrics: Sequence[str] = tuple(METRICS)
    classes: Sequence[str] = ()
    paper: dict[str, dict[str, dict[str, Average]]] = field(default_factory=dict)


def sections_of(results: Sequence[Result]) -> list[Section]:
    """In the order of the page. Pictures that a table of the paper has already do not come again."""
    tables = [(table, models_of(table, results)) for table in read_paper()]
    sections = [_paper_section(table, models) for table, models in tables if any(model.results for model in models)]
    drawn = [{one.cell for own in section.series.values() for one in own} for section in sections]
    if costs := costs_sheet(results):
        sections.append(Section("costs", [costs]))
    if results:
        sections.append(Section("found", [found_sheet(results)]))
    for dataset in sorted({one.cell.dataset for one in results}):
        cells = by_cell(one for one in results if one.cell.dataset == dataset)
        if set(cells) not in drawn:
            names, classes = labels(list(cells)), sorted({one.category for own in cells.values() for one in own})
            series = {names[cell]: own for cell, own in cells.items()}
            sections.append(Section(f"found_{dataset}", [], series, classes=classes))
    return sections


def _paper_section(table: PaperTable, models: Sequence[Model]) -> Section:
    found = {model.label: model for model in models if model.results}
    sheets = [paper_sheet(table, models), present_sheet(table, models)]
    return Section(
        table.key,
        [sheet for sheet in sheets if sheet],
        {label: model.results for label, model in found.items()},
        table.metrics,
        table.classes,
        {metric: {label: _printed(table, model, metric) for label, model in found.items()} for metric in table.metrics},
    )


def _printed(table: PaperTable, model: Model, metric: str) -> dict[str, Average]:
    printed, index = model.row.printed, table.metrics.index(metric)
    return {name: Average(printed[name][index]) for name in table.classes if name in printed}
