"""What the paper prints, and which runs its rows speak of."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from padim.report.cell import Cell

ALL = "all classes"


@dataclass(frozen=True)
class Row:
    """One model; see paper.yaml."""

    name: str
    match: dict[str, Any] | None = None

    def cells(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those that the row speaks of; weights from a file may be the paper's, and only their user knows."""
        if self.match is None:
            return []
        wanted = {"method": "padim"} | {name: value for name, value in self.match.items() if name != "weights"}
        return [
            cell
            for cell in cells
            if all(getattr(cell, name) == value for name, value in wanted.items())
            and (cell.weights == self.match.get("weights", cell.weights) or from_file(cell))
        ]


@dataclass(frozen=True)
class PaperRow(Row):
    """Of a table of results."""

    protocol: dict[str, Any] = field(default_factory=dict)
    printed: dict[str, list[float | None]] = field(default_factory=dict)
    parts_give: dict[str, list[float | None]] = field(default_factory=dict)

    @property
    def of_padim(self) -> bool:
        """Whether it is PaDiM's: then it is missed where there is no run; what others published stands for itself."""
        return self.match is not None and "method" not in self.match

    def other_settings(self, cell: Cell) -> str:
        """Where a cell of the row is not of the paper's protocol, save for weights from a file."""
        paper = replace(cell, **self.protocol)
        if from_file(cell):
            paper = replace(paper, weights=cell.weights)
        ours = " ".join(part for part in cell.parts if part not in paper.parts)
        theirs = " ".join(part for part in paper.parts if part not in cell.parts)
        return ", ".join(filter(None, [ours and f"ours {ours}", theirs and f"the paper's {theirs}"]))


@dataclass(frozen=True)
class CostRow(Row):
    """Of tables VII and VIII.

    Attributes:
        seconds: of inference, an image.
        memory: GB, by data set.
    """

    seconds: float | None = None
    memory: dict[str, float] = field(default_factory=dict)


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
        return {name: classes for name, classes in scopes.items() if row.of_padim or name in row.printed}


def from_file(cell: Cell) -> bool:
    """Whether the weights are a file: names of timm's trainings have no suffix."""
    return bool(Path(cell.weights).suffix)


def read_paper() -> list[PaperTable]:
    """The tables of paper.yaml."""
    content = _content()
    return [
        PaperTable(
            **{key: value for key, value in table.items() if key != "rows"},
            rows=[PaperRow(**row) for row in table["rows"]],
            groups=content["datasets"][table["dataset"]],
        )
        for table in content["tables"]
    ]


def read_costs() -> list[CostRow]:
    """Its costs."""
    return [CostRow(**row) for row in _content()["costs"]]


def _content() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text())
