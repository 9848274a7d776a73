"""What a run is about, in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from padim.predict.decision import Decision, described
from padim.report.cell import at


class Count(NamedTuple):
    """How many images there were of a label, and at how many of them an alarm; None without a threshold."""

    images: int
    alarms: int | None


def data_name(config: dict[str, Any]) -> str:
    """The reader, and its category or folder."""
    reader = str(at(config, "dataset.reader._target_", "images")).rpartition(".")[2]
    category = at(config, "dataset.category", None) or Path(str(at(config, "dataset.root", ""))).name
    return f"{reader} {category}".strip()


def model_name(config: dict[str, Any], fitted: int) -> str:
    """What decides on the scores, as far as the method takes it, and to how many images it is fitted."""
    backbone, layers, reduction, covariance = (
        at(config, f"model.{part}", {}) for part in ("backbone", "layers", "reduction", "covariance")
    )
    parts = []
    if backbone:
        parts.append(f"{backbone['name']} with weights {Path(str(backbone['weights'])).name}")
    if layers:
        of = "sum of " if layers.get("combine") == "sum" else ""
        parts.append(f"{of}layers {', '.join(map(str, layers['stages']))}")
    if reduction:
        dim = reduction.get("dim")
        parts.append("all channels" if dim is None else f"{reduction['name']} reduction to {dim} dimensions")
    if covariance:
        pool = "" if covariance.get("pool", 1) == 1 else f" of pool {covariance['pool']}"
        parts.append(f"{covariance['name']} covariance{pool} with eps {covariance['eps']}")
    return "; ".join([*parts, f"fitted to {fitted} images"])


def verdict(counts: Mapping[str, Count]) -> str:
    """One sentence on all the images, of which there are so many by their labels."""
    there = {name: count for name, count in counts.items() if count.images}
    if not there:
        return "Nothing was tested: there are no test images."
    if any(count.alarms is None for count in there.values()):
        images = " and ".join(f"{count.images} {name}" for name, count in there.items())
        return f"{images} images were tested; without a threshold nothing is decided."
    alarms = " and at ".join(f"{count.alarms} of {count.images} {name}" for name, count in there.items())
    return f"The threshold raises an alarm at {alarms} images."


def threshold_origin(decision: Decision) -> str:
    """What gave the threshold, or what would give one."""
    if decision.threshold is None:
        return "not calibrated: fit with dataset.calibration_fraction=0.1 or, of PaDiM, calibration=leave_one_out"
    return described(decision).partition(": ")[2]  # without the number itself
