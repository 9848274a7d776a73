"""Small real files of every kind, to be broken."""

import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from padim.baselines.dn2 import DN2Module
from padim.export.comparison import drawn_images
from padim.export.facts import facts_of
from padim.export.graph import trace
from padim.export.onnx_file import save_onnx
from padim.export.state import save_safetensors, without_statistics
from tests.data.files import write
from tests.export.models import SMALL, fitted, save
from tests.report import tree

ROWS = [
    {"path": "a/1.png", "split": "train"},
    {"path": "a/2.png", "split": "train", "label": "0"},
    {"path": "b/1.png", "split": "test", "kind": "good"},
    {"path": "b/2.png", "split": "test", "kind": "scratch", "label": "1", "mask": "m/2.png"},
]
NETWORK: tuple[str, tuple[str], tuple[int, int]] = "test_vit", ("blocks.1",), (64, 64)
"""That the weights are of: name, stages, image size."""


def make_seeds(folder: Path) -> dict[str, Path]:
    """By name: a model in each format, one that keeps embeddings, weights, lists, and files of runs. Relative paths."""
    folder.mkdir(parents=True)
    _models(folder)
    _weights(folder)
    _lists(folder)
    for run in ("config", "hydra", "metrics"):
        tree.train(folder / run, [90.0, 80.0, 70.0])
    (folder / "config" / "finished.json").write_text("{}")  # which fits any configuration, however it is broken
    inside = {"config.yaml": "config/.hydra", "hydra.yaml": "hydra/.hydra", "metrics.json": "metrics"}
    beside = sorted(path.name for path in folder.iterdir() if path.is_file())
    return {name: Path(name) for name in beside} | {name: Path(place) / name for name, place in inside.items()}


def _models(folder: Path) -> None:
    module = fitted(size=(32, 32), **SMALL, reduction={"name": "random", "dim": 6})
    save(module, folder / "model.ckpt")
    save_safetensors(module, folder / "model.safetensors", statistics=True)
    facts = facts_of(module)
    save_onnx(trace(without_statistics(module).model, facts), facts, folder / "model.onnx", 18)
    gallery = DN2Module({"name": "test_efficientnet"}, {"stages": [1]}, [32, 32]).eval()
    gallery.model.update(drawn_images(5, (32, 32)))
    gallery.model.finalise()
    save(gallery, folder / "gallery.ckpt")


def _weights(folder: Path) -> None:
    state = timm.create_model(NETWORK[0]).state_dict()
    torch.save(state, folder / "weights.pth")
    save_file(state, folder / "weights.safetensors")


def _lists(folder: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png", "m/2.png"):
        write(folder / name)
    columns = list(ROWS[3])
    lines = [",".join(columns), *(",".join(row.get(name, "") for name in columns) for row in ROWS)]
    (folder / "list.csv").write_text("\n".join(lines))
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
