"""A configuration as the tables see it, whichever command ran it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from padim.report.settings import USUAL, overrides, own_settings


@dataclass(frozen=True)
class Cell:
    """Results of equal cells differ in category, seed and version or fold of the data set alone.

    Attributes:
        dataset: the choice of Hydra's group.
        backbone: timm's name; "" of a method without one, as all that a method does not have.
        weights: timm's tag, "random" or the name of a file.
        layers: "l23" for the concatenation of stages 2 and 3, "sum23" for the sum of their single maps.
        dim: None without reduction.
        pool: of the covariance's positions: "1", "3", ... or "all".
        image_size: height x width, or "native" where it is left to the network.
        settings: what else differs from the paper's protocol, as overrides; of another method all that it has.
    """

    dataset: str
    backbone: str
    weights: str
    layers: str
    reduction: str
    dim: int | None
    covariance: str
    pool: str
    eps: float | None
    image_size: str
    settings: str
    method: str = "padim"

    @property
    def network(self) -> str:
        """The backbone and its weights."""
        return f"{self.backbone} ({self.weights})" if self.backbone else ""

    @property
    def parts(self) -> list[str]:
        """All but data set, method and head, one by one."""
        fields = (self.backbone, self.weights, self.layers, self.image_size)
        return [*filter(None, fields), *self.settings.split()]

    @property
    def order(self) -> tuple[str | float, ...]:
        """For sorting: PaDiM comes before other methods, those by their names, and no reduction first."""
        values = [-1 if value is None else value for value in vars(self).values()]
        return (self.method != "padim", self.method, *values)


def cell_of(config: dict[str, Any], choices: dict[str, Any], head: dict[str, Any] | None = None) -> Cell:
    """The cell of a run.

    Args:
        config: as composed.
        choices: of Hydra's groups.
        head: layers, reduction, dim, covariance, pool and eps where a run has many; else the configuration's.
    """
    method = str(choices.get("method", "padim"))
    backbone, weights = _backbone(config, method)
    size = at(config, "dataset.image_size")
    if head is None:
        head = _head(config) if method == "padim" else _head_of_another(config)
    return Cell(
        dataset=str(at(choices, "dataset")),
        backbone=backbone,
        weights=weights,
        image_size="native" if size is None else "x".join(map(str, size)),
        settings=_settings(config, method),
        method=method,
        **head,
    )


def at(config: dict[str, Any], key: str, *default: Any) -> Any:
    """The value of a dotted key, through references to other keys.

    Raises:
        ValueError: there is none, and no default.
    """
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            if default:
                return default[0]
            raise ValueError(f"the configuration has no {key}")
        value = value[part]
    reference = re.fullmatch(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
    return at(config, reference[1], *default) if reference else value


def layers_name(stages: Sequence[int | str], combine: str) -> str:
    """As in Cell: a single layer needs no combination."""
    return ("sum" if combine == "sum" and len(stages) > 1 else "l") + "".join(map(str, stages))


def _head(config: dict[str, Any]) -> dict[str, Any]:
    """Early runs had neither combinations nor covariances to choose from."""
    dim = at(config, "reduction.dim")
    return {
        "layers": layers_name(at(config, "layers.stages"), at(config, "layers.combine", "concat")),
        "reduction": str(at(config, "reduction.name")),
        "dim": None if dim is None else int(dim),
        "covariance": str(at(config, "covariance.name", "sample")),
        "pool": str(at(config, "covariance.pool", 1)),
        "eps": float(at(config, "covariance.eps")),
    }


def _head_of_another(config: dict[str, Any]) -> dict[str, Any]:
    """A method that is not PaDiM may read layers, and has neither reductions nor covariances."""
    stages = at(config, "layers.stages") if "layers" in config["model"] else None
    layers = "" if stages is None else layers_name(stages, "concat")
    return {"layers": layers, "reduction": "", "dim": None, "covariance": "", "pool": "", "eps": None}


def _backbone(config: dict[str, Any], method: str) -> tuple[str, str]:
    """Its name, and where its weights come from."""
    if method != "padim" and "backbone" not in config["model"]:
        return "", ""
    weights = str(at(config, "backbone.weights"))
    tag = str(at(config, "backbone.tag")) if weights == "imagenet" else Path(weights).name
    return str(at(config, "backbone.name")), tag


def _settings(config: dict[str, Any], method: str) -> str:
    """The model's own node, which padim-ablate does not have, comes first."""
    found = {key: at(config, f"model.{key}", at(config, key, usual)) for key, usual in USUAL.items()}
    if found["dataset.resize"] is None:
        found["dataset.resize"] = at(config, "dataset.image_size")  # the whole image
    if at(config, "dataset.version", None) is not None:
        del found["dataset.seed"]  # a version is a seed
    unusual = {key: value for key, value in found.items() if value != USUAL[key]}
    if method != "padim":
        unusual |= own_settings(config["model"])
        if (epochs := at(config, "trainer.max_epochs", 1)) != 1:
            unusual |= {"epochs": epochs, "batch_size": at(config, "data.batch_size")}
    return overrides(unusual)


def labels(cells: Sequence[Cell]) -> dict[Cell, str]:
    """Short names that tell these cells apart: the reduction, and what is neither the paper's nor that of most."""
    forms = dict.fromkeys(("dataset", "backbone", "weights", "layers", "covariance", "image_size", "settings"), "{}")
    forms |= {"pool": "pool {}", "eps": "eps {:g}"}
    paper = {"covariance": "sample", "pool": "1", "eps": 0.01, "image_size": "224x224", "settings": ""}
    usual = {}
    for name in forms:
        counts = Counter(getattr(cell, name) for cell in cells)
        usual[name] = paper[name] if paper.get(name) in counts else counts.most_common(1)[0][0]
    names, methods = {}, {cell.method for cell in cells}
    for cell in cells:
        unusual = {name: value for name in forms if (value := getattr(cell, name)) not in (usual[name], "", None)}
        parts = [forms[name].format(value) for name, value in unusual.items()]
        head = [cell.method] if len(methods) > 1 or cell.method != "padim" else []
        head += [cell.reduction] if cell.reduction else []
        head += [str(cell.dim)] if cell.dim else []
        names[cell] = ", ".join([" ".join(head), *parts])
    return names
