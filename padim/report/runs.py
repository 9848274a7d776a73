"""Find the runs below some folders: finished, failed, broken."""

import csv
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from padim.report.cell import Cell, at
from padim.report.results import ReportError, Result, read_mapping, read_run

PLACES = (
    "output_dir=",
    "dataset.root=",
    "backbone.weights=/",
)  # overrides that say where something lies, and not what was run

FINISHED = "finished.json"
"""What padim.commands.finished writes last, and removes before a run begins: the configuration that has ended well."""

BROKEN = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, csv.Error)
"""What reading a file raises in which anything may stand."""


@dataclass
class Found:
    """What lay below the folders. All but the results are lines of text that begin with a run's name.

    Attributes:
        finished: number of runs that gave results.
        failed: or still running.
        unreadable: what is half-written or of another kind.
        repeated: the same configuration, category, seed and version more than once.
        foreign: runs of other commands.
    """

    results: list[Result] = field(default_factory=list)
    finished: int = 0
    failed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def find_runs(roots: Sequence[Path]) -> Found:
    """Every run at or below the roots; of equal ones the newest counts, by the time of its metrics.json.

    Raises:
        ReportError: no such folder, or no run in any; a heads.csv without a column that is needed.
    """
    folders = _run_folders(roots)
    base = Path(os.path.commonpath([root.resolve().parent for root in roots]))
    found = Found()
    for folder in sorted(folders):
        name = folder.relative_to(base).as_posix()
        try:
            _sort_in(folder, name, found)
        except BROKEN as error:
            reason = " ".join(str(error).replace(f"{folder}/", "").split())
            found.unreadable.append(f"`{name}`: {reason[:300]}")
    found.results, found.repeated = _newest(found.results)
    return found


def _run_folders(roots: Sequence[Path]) -> set[Path]:
    for root in roots:
        if not root.is_dir():
            raise ReportError(f"{root} is no folder; give folders that hold runs")
    found = {path.parents[1] for root in roots for path in root.resolve().rglob(".hydra/config.yaml")}
    if not found:
        raise ReportError(
            f"no run in or below {', '.join(map(str, roots))}: a run is a folder with .hydra/config.yaml, and"
            f" {FINISHED} once it has ended well; padim-train and padim-ablate leave them in output_dir"
        )
    return found


def _sort_in(folder: Path, name: str, found: Found) -> None:
    hydra = read_mapping(folder / ".hydra" / "hydra.yaml")
    command = str(at(hydra, "hydra.job.name"))
    if command not in ("train", "ablate"):
        found.foreign.append(f"`{name}`: padim-{command[:40]}")
    elif not _is_finished(folder):
        found.failed.append(f"`{name}`: `{_typed(hydra, command)}`")
    else:
        found.results += read_run(folder, name, command, at(hydra, "hydra.runtime.choices"))
        found.finished += 1


def _is_finished(folder: Path) -> bool:
    """Whether a run of this very configuration has ended well: the metrics may be of one before it."""
    path = folder / FINISHED
    if not path.is_file():
        return False
    config, ended = read_mapping(folder / ".hydra" / "config.yaml"), read_mapping(path)
    if "trainer" in ended:  # without the hardware, on which nothing depends
        config["trainer"] = {name: value for name, value in config["trainer"].items() if name in ended["trainer"]}
    return ended.items() <= config.items()


def _typed(hydra: dict[str, Any], command: str) -> str:
    """The command that the user typed."""
    overrides = at(hydra, "hydra.overrides.task", [])
    return shlex.join([f"padim-{command}", *(text for text in overrides if not text.startswith(PLACES))])


def _newest(results: Iterable[Result]) -> tuple[list[Result], list[str]]:
    """Those that count, in order, and what is said of the others."""
    counted: dict[tuple[Cell, str, int, str], Result] = {}
    repeated = []
    for result in sorted(results, key=lambda one: (one.written, one.name)):
        key = (result.cell, result.category, result.seed, result.version)
        if key in counted:
            old, new = (f"`{one.name}` ({one.head})" for one in (counted[key], result))
            repeated.append(f"{new} counts; {old}, of the same configuration, is older and does not")
        counted[key] = result
    order = sorted(counted.values(), key=lambda one: (one.cell.order, one.category, one.seed, one.version))
    return order, sorted(repeated)
