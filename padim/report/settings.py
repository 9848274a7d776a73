"""What of a configuration changes a result and has no column of its own."""

import json
from typing import Any

# Named only where it is not the paper's.
USUAL: dict[str, Any] = {
    "backbone.taps": None,
    "backbone.seed": 0,
    "dataset.seed": 0,
    "dataset.resize": [256, 256],
    "dataset.interpolation": "bicubic",
    "dataset.keep_aspect": False,
    "dataset.calibration_fraction": 0.0,
    "dataset.shard": None,
    "dataset.train": "train",  # of dataset=folder, as the next three
    "dataset.test_good": "test_good",
    "dataset.test_bad": "test_bad",
    "dataset.masks": "masks",
    "dataset.folds": 3,
    "dataset.per_scene": False,
    "dataset.train_fraction": 0.8,
    "dataset.train_frames": 5000,
    "dataset.test_stride": 5,
    "dataset.validation": False,
    "augmentation.repeats": 1,
    "augmentation.angle": 0.0,
    "augmentation.light": 0.0,
    "augmentation.shift": 0,
    "augmentation.seed": 0,
    "execution.bfloat16": False,
    "anomaly_map.sigma": 4.0,
    "anomaly_map.interpolation": "bicubic",
    "trainer.limit_train_batches": None,
    "trainer.limit_test_batches": None,
}


def own_settings(model: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Of a method other than PaDiM, by dotted keys. What refers to another key has a column, and _ is Hydra's."""
    found: dict[str, Any] = {}
    for name, value in model.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= own_settings(value, f"{key}.")
        elif not (name.startswith("_") or key in USUAL or str(value).startswith("${")):
            found[key] = value
    return found


def overrides(settings: dict[str, Any]) -> str:
    """As they are typed."""
    values = {key: json.dumps(value, ensure_ascii=False) for key, value in settings.items()}
    return " ".join(f"{key}={value}" for key, value in values.items()).replace('"', "").replace(", ", ",")
