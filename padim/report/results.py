"""What a finished run left behind, as plain rows."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from padim.report.cell import Cell, at, cell_of
from padim.untrusted import require_plain

METRICS = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pro": "PRO"}
COSTS = ("train_images", "fit_seconds", "image_seconds", "model_mb", "peak_memory_mb")
HEAD_COLUMNS = ("name", "layers", "reduction", "dim", "covariance", "pool", "eps", "seed", *METRICS)

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it was built


class ReportError(Exception):
    """There is nothing to report on; the message says what to do."""


@dataclass(frozen=True)
class Result:
    """One model, tested on one category.

    Attributes:
        folder: of the run.
        name: of the run, wherever its folder lies.
        head: of the model within the run, as in heads.csv and curves.csv.
        version: of a data set, such as "version 3" or "fold 2"; "" where it has none.
        metrics: in [0, 1], without those that could not be computed.
        costs: those of :data:`COSTS` that the run of this one model has told.
        written: when; the newest of equal ones counts.
    """

    folder: Path
    name: str
    head: str
    cell: Cell
    category: str
    seed: int
    version: str
    metrics: dict[str, float]
    written: float
    costs: dict[str, float] = field(default_factory=dict)


def read_run(folder: Path, name: str, command: str, choices: dict[str, Any]) -> list[Result]:
    """One result of padim-train, one per head of padim-ablate.

    Raises:
        ReportError: heads.csv lacks a column.
        ValueError, TypeError, OSError: a file is missing, half-written or not what it should be.
    """
    config = read_mapping(folder / ".hydra" / "config.yaml")
    facts = read_mapping(folder / "metrics.json")
    shared: dict[str, Any] = {
        "folder": folder,
        "written": (folder / "metrics.json").stat().st_mtime,
        "name": name,
        "version": _version(config),
        "category": _category(config, at(choices, "dataset")),
    }
    if command == "train":
        cell, seed = cell_of(config, choices), int(at(config, "seed"))
        costs = {name: float(facts[name]) for name in COSTS if name in facts}
        return [
            Result(
                head=cell.method, cell=cell, seed=seed, metrics=_metrics(facts, "metrics.json"), costs=costs, **shared
            )
        ]
    results = []
    for row in _heads(folder / "heads.csv"):
        head: dict[str, Any] = {key: row[key] for key in ("layers", "reduction", "covariance", "pool")}
        head |= {"dim": int(row["dim"]) if row["dim"] else None, "eps": float(row["eps"])}
        cell, values = cell_of(config, choices, head), _metrics(row, f"heads.csv, {row['name']}")
        results.append(Result(head=row["name"], cell=cell, seed=int(row["seed"]), metrics=values, **shared))
    return results


def _version(config: dict[str, Any]) -> str:
    """What results are averaged over besides seeds."""
    found = {name: at(config, f"dataset.{name}", None) for name in ("version", "fold")}
    return ", ".join(f"{name} {value}" for name, value in found.items() if value is not None)


def _category(config: dict[str, Any], dataset: str) -> str:
    """Images of one's own go by their list or folder: the end of its path, wherever that begins."""
    if dataset == "folder":
        return str(Path(*Path(at(config, "dataset.manifest", None) or at(config, "dataset.root")).parts[-2:]))
    category = at(config, "dataset.category", None)
    return "all" if category is None else str(category)


def read_mapping(path: Path) -> dict[str, Any]:
    """Of a YAML or JSON file."""
    content = path.read_text()
    try:
        values = json.loads(content) if path.suffix == ".json" else yaml.load(content, _Loader)
        require_plain(values)
    except (RecursionError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is half-written: it holds no keys and values")
    return values


def _heads(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = [column for column in HEAD_COLUMNS if column not in columns]
        if missing:
            raise ReportError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}. Run padim-ablate"
                " again, or leave the folder out"
            )
        rows = list(reader)
    if any(row[column] is None for row in rows for column in HEAD_COLUMNS):
        raise ValueError("heads.csv is half-written: a row is cut short")
    return rows


def _metrics(values: dict[str, Any], where: str) -> dict[str, float]:
    """Those that could be measured."""
    metrics = {metric: float(values[metric]) for metric in METRICS if values.get(metric) not in (None, "", "nan")}
    for metric, value in metrics.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{where}: {metric} is {value}, which is not in [0, 1]")
    return metrics
