"""Folders of runs as padim-train and padim-ablate leave them, with made-up metrics."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from padim.report.results import HEAD_COLUMNS, METRICS
from padim.report.runs import FINISHED

TAGS = {"resnet18": "tv_in1k", "wide_resnet50_2": "tv_in1k"}
FACTS = {"test_seconds": 2.5, "peak_memory_mb": 1394.0, "train_images": 209, "test_images": 83}
SPREAD = (0.0, 0.3, -0.3)
"""What each seed adds to a metric, in %: the mean stays, the deviation is 0.3."""


def start(
    folder: Path,
    command: str = "train",
    dataset: str = "mvtec",
    category: str = "bottle",
    seed: int = 0,
    backbone: str = "resnet18",
    weights: str = "imagenet",
    reduction: str = "random",
    dim: int | None = 100,
    method: str = "padim",
    **others: Any,
) -> Path:
    """What Hydra writes before a run begins.

    Args:
        others: keys of the configuration, dotted, with __ for a dot.
    """
    config: dict[str, Any] = {
        "seed": seed,
        "backbone": {"name": backbone, "tag": TAGS[backbone], "taps": None, "weights": weights, "seed": 0},
        "layers": {"stages": [1, 2, 3], "combine": "concat"},
        "reduction": {"name": reduction, "dim": dim},
        "covariance": {"name": "sample", "pool": 1, "eps": 0.01},
        "dataset": {"category": category, "image_size": [224, 224], "resize": [256, 256], "root": "/elsewhere"},
        "model": {"anomaly_map": {"sigma": 4.0, "interpolation": "bicubic"}, "seed": "${seed}"},
    }
    for key, value in others.items():
        group, _, name = key.partition("__")
        if name:
            config.setdefault(group, {})[name] = value
        else:
            config[group] = value
    typed = [f"output_dir={folder}", f"dataset={dataset}", f"dataset.category={category}", f"seed={seed}"]
    hydra = {
        "job": {"name": command},
        "runtime": {"choices": {"dataset": dataset, "method": method}},
        "overrides": {"task": typed},
    }
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(config))
    (folder / ".hydra/hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    return folder


def train(folder: Path, percent: Sequence[float | None], curves: bool = True, **cell: Any) -> Path:
    """A finished run of padim-train.

    Args:
        percent: image AUROC, pixel AUROC, PRO.
    """
    start(folder, "train", **cell)
    metrics = {name: None if value is None else value / 100 for name, value in zip(METRICS, percent, strict=True)}
    (folder / "metrics.json").write_text(json.dumps(metrics | FACTS | {"fit_seconds": 1.5}))
    if curves:
        write_curves(folder, {"padim": percent})
    return finish(folder)


def ablate(folder: Path, heads: Sequence[Mapping[str, Any]], curves: bool = True, **cell: Any) -> Path:
    """A finished run of padim-ablate; each head has a name, ``percent`` as above, and what is not usual of it."""
    start(folder, "ablate", **cell)
    usual = {
        "layers": "l123",
        "reduction": "none",
        "dim": "",
        "covariance": "sample",
        "pool": 1,
        "eps": 0.01,
        "seed": 0,
    }
    with (folder / "heads.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, HEAD_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for head in heads:
            values = zip(METRICS, head["percent"], strict=True)
            writer.writerow(usual | head | {name: "" if value is None else value / 100 for name, value in values})
    if curves:
        write_curves(folder, {head["name"]: head["percent"] for head in heads})
    (folder / "metrics.json").write_text(json.dumps(FACTS))
    return finish(folder)


def finish(folder: Path) -> Path:
    """Mark the run of the configuration that lies there as finished."""
    config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())
    (folder / FINISHED).write_text(json.dumps(config))
    return folder


def write_curves(folder: Path, heads: Mapping[str, Sequence[float | None]]) -> None:
    """Powers of the false positive rate, whose area is the metric (the whole area, for PRO too)."""
    with (folder / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["head", "curve", "fpr", "tpr"])
        for name, percent in heads.items():
            for curve, area in zip(("image_roc", "pixel_roc", "pro"), percent, strict=True):
                if area is not None:
                    rates = [step / 200 for step in range(201)]
                    writer.writerows([name, curve, rate, rate ** (100 / area - 1)] for rate in rates)


def written_at(folder: Path, seconds: int) -> None:
    os.utime(folder / "metrics.json", (seconds, seconds))
