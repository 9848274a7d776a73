"""What the paper prints, and which runs its rows speak of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from padim.report.cell import Cell

ALL = "all classes"


@dataclass(frozen=True)
class PaperRow:
    """One model of a table; see paper.yaml."""

    name: str
    printed: dict[str, list[float | None]]
    match: dict[str, Any] | None = None
    parts_give: dict[str, list[float | None]] = field(default_factory=dict)

    def cells(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those that the row speaks of; weights from a file may be the paper's, and only their user knows."""
        if self.match is None:
            return []
        wanted = {name: value for name, value in self.match.items() if name != "weights"}
        return [
            cell
            for cell in cells
            if all(getattr(cell, name) == value for name, value in wanted.items())
            and (cell.weights == self.match["weights"] or from_file(cell))
        ]


@dataclass(frozen=True)
class PaperTable:
    """One table; see paper.yaml.

    Attributes:
        groups: of classes.
    """

    key: str
    title: str
    dataset: str
    metrics: list[str]
    rows: list[PaperRow]
    groups: dict[str, list[str]]
    note: str = ""

    @cached_property
    def classes(self) -> list[str]:
        return [name for classes in self.groups.values() for name in classes]

    def scopes(self, row: PaperRow) -> dict[str, list[str]]:
        """What the row averages over: the classes that the paper prints, each group after its own, then all."""
        scopes: dict[str, list[str]] = {}
        for group, classes in self.groups.items():
            scopes |= {name: [name] for name in classes if name in row.printed}
            scopes[group] = classes
        if len(self.groups) > 1:
            scopes[ALL] = self.classes
        return {name: classes for name, classes in scopes.items() if row.match or name in row.printed}


def from_file(cell: Cell) -> bool:
    """Whether the weights are a file: names of timm's trainings have no suffix."""
    return bool(Path(cell.weights).suffix)


def read_paper() -> list[PaperTable]:
    """The tables of paper.yaml."""
    content = yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text())
    return [
        PaperTable(
            **{key: value for key, value in table.items() if key != "rows"},
            rows=[PaperRow(**row) for row in table["rows"]],
            groups=content["datasets"][table["dataset"]],
        )
        for table in content["tables"]
    ]
