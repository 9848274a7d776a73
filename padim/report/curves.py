"""ROC and PRO curves: read, and averaged as the metrics are."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from padim.report.results import Result

CURVES = {"image_auroc": "image_roc", "pixel_auroc": "pixel_roc", "pro": "pro"}
"""Whose area a metric is."""
COLUMNS = ["head", "curve", "fpr", "tpr"]

Curve = dict[float, float]
"""The true positive rate, or the mean overlap of a region, at false positive rates."""
Curves = dict[tuple[str, str], Curve]
"""By head and kind."""


def read_all(results: Iterable[Result]) -> tuple[dict[Path, Curves], list[str]]:
    """The curves of each run that has some, by its folder; which files could not be read."""
    files: dict[Path, Curves] = {}
    unreadable = []
    for folder, name in {one.folder: one.name for one in results}.items():
        try:
            files[folder] = _read(folder / "curves.csv")
        except FileNotFoundError:
            pass  # early runs drew none
        except (OSError, ValueError, csv.Error) as error:
            unreadable.append(f"`{name}`: curves.csv: {error}")
    return files, unreadable


def _read(path: Path) -> Curves:
    curves: Curves = {}
    with path.open(newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header != COLUMNS:
            raise ValueError(f"the columns are {', '.join(header) or 'none'}; they should be {', '.join(COLUMNS)}")
        for row in reader:
            if len(row) != len(COLUMNS):
                raise ValueError(f"line {reader.line_num} is cut short")
            head, kind, rate, value = row
            if value not in ("", "nan"):  # as where there is nothing to compute it from
                curves.setdefault((head, kind), {})[float(rate)] = float(value)
    return curves


def mean_curve(results: Iterable[Result], files: Mapping[Path, Curves], kind: str, classes: Sequence[str]) -> Curve:
    """Over the seeds of each class, then over the classes; empty where a class has no such curve."""
    by_class: dict[str, list[Curve]] = {name: [] for name in classes}
    for one in results:
        curve = files.get(one.folder, {}).get((one.head, kind))
        if curve and one.category in by_class:
            by_class[one.category].append(curve)
    if not all(by_class.values()):
        return {}
    rates = sorted(set.intersection(*(set(curve) for curves in by_class.values() for curve in curves)))
    return {rate: fmean(fmean(curve[rate] for curve in curves) for curves in by_class.values()) for rate in rates}
