"""The files that a run leaves."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from padim.data.samples import Sample
from padim.evaluation import RATES
from padim.writing import whole


def write_json(metrics: Mapping[str, float], path: Path) -> None:
    """JSON knows no NaN: a metric that cannot be computed is null."""
    values = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    with whole(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n")


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]], path: Path) -> None:
    # Names need not be Unicode.
    with whole(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_predictions(samples: Sequence[Sample], scores: Mapping[str, Mapping[int, Any]], path: Path) -> None:
    """Path and label of each image that was scored, and the columns of ``scores``."""
    columns = list(scores.values())
    rows = (
        [samples[index].path, samples[index].label, *(column[index] for column in columns)]
        for index in sorted(columns[0])
    )
    write_csv(["path", "label", *scores], rows, path)


def write_curves(curves: Mapping[str, Mapping[str, list[float]]], path: Path) -> None:
    """Of each head: true over false positive rates of images and pixels, and PRO's mean overlap over the latter's."""
    rows = (
        [head, curve, fpr, tpr]
        for head, of_head in curves.items()
        for curve, rates in of_head.items()
        for fpr, tpr in zip(RATES.tolist(), rates, strict=True)
    )
    write_csv(["head", "curve", "fpr", "tpr"], rows, path)
