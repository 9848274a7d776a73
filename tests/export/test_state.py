"""Safetensors give back the very module, and take nothing that does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from padim.export.comparison import drawn_images
from padim.export.state import load_safetensors, save_safetensors
from padim.module import PaDiMModule
from tests.export.models import FITTED, R18, SIZE, SUM, fitted


@pytest.fixture(scope="module")
def module() -> PaDiMModule:
    return fitted(**R18)


@pytest.fixture(scope="module")
def file(module: PaDiMModule, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "model.safetensors"
    save_safetensors(module, path)
    return path


def header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["padim"])


def test_everything_comes_back(module: PaDiMModule, file: Path) -> None:
    back = load_safetensors(file)
    for ours, theirs in zip(back(drawn_images(3, SIZE))[:2], module(drawn_images(3, SIZE))[:2], strict=True):
        assert torch.equal(ours, theirs)
    assert (back.config, back.images, back.calibration) == (module.config, module.images, module.calibration)
    assert back.hparams["backbone"]["weights"] is None
    assert not any(".statistics.levels." in name for name in load_file(file))


def test_without_statistics_it_cannot_change(file: Path) -> None:
    with pytest.raises(RuntimeError, match="can no longer change"):
        load_safetensors(file).model.update(drawn_images(2, SIZE))


@pytest.mark.parametrize("changes", [R18, SUM], ids=["R18-Rd100", "sum123"])
def test_with_statistics_it_goes_on(changes: dict[str, Any], tmp_path: Path) -> None:
    module, more = fitted(**changes), drawn_images(3, SIZE, seed=7)
    save_safetensors(module, tmp_path / "model.safetensors", statistics=True)
    back = load_safetensors(tmp_path / "model.safetensors")
    for one in (module, back):
        one.model.update(more)
        one.model.finalise()
    assert back.model.head.count == FITTED + 3
    assert torch.equal(back(more).score, module(more).score)


def test_statistics_that_are_gone_cannot_be_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no statistics to keep"):
        save_safetensors(load_safetensors(file), tmp_path / "again.safetensors", statistics=True)


def test_others_may_read_what_they_may_read(file: Path) -> None:
    (file.parent / "beside").touch()
    assert file.stat().st_mode == (file.parent / "beside").stat().st_mode


CHANGES: dict[str, Any] = {
    "format": {"format": 2},
    "no configuration": {"config": None},
    "no images": {"images": [1, 2]},
    "no calibration": {"calibration": {"alpha": "x"}},
    "infinite calibration": {
        "calibration": {"scores": [1e999] * 19, "alpha": 0.05, "source": "held_out", "fitted": 12}
    },
    "no parameters": {"hyper_parameters": []},
    "preprocessing": {"config": {"dataset": {"resize": 5}}},
    "crop": {"config": {"dataset": {"resize": [8, 8]}}},
    "interpolation": {"config": {"dataset": {"interpolation": "lanczos"}}},
}
PARAMETERS: dict[str, Any] = {
    "vast": {"image_size": [10**9, 10**9]},
    "negative": {"image_size": [-64, 96]},
    "one side": {"image_size": [64]},
    "words": {"image_size": "64"},
    "another size": {"image_size": [96, 64]},
    "network": {"backbone": {"name": "../resnet18"}},
    "network of a hub": {"backbone": {"name": "hf-hub:someone/something"}},
    "number of a network": {"backbone": {"name": 7}},
    "layers": {"layers": {"stages": [1], "combine": "concat"}},
    "layers of none": {"layers": {"stages": "x", "combine": "concat"}},
    "reduction": {"reduction": {"name": "none", "dim": {}}},
    "unknown parameter": {"trust": True},
}


@pytest.mark.parametrize("change", [*CHANGES, *PARAMETERS])
def test_what_does_not_fit_is_named(file: Path, change: str, tmp_path: Path) -> None:
    content = header(file)
    if change in CHANGES:
        content |= CHANGES[change]
    else:
        content["hyper_parameters"] |= PARAMETERS[change]
    save_file(load_file(file), tmp_path / "model.safetensors", {"padim": json.dumps(content)})
    with pytest.raises(ValueError, match=r"."):
        load_safetensors(tmp_path / "model.safetensors")


def test_a_path_to_weights_is_not_followed(file: Path, tmp_path: Path) -> None:
    content = header(file)
    content["hyper_parameters"]["backbone"]["weights"] = str(tmp_path / "nowhere.pth")
    save_file(load_file(file), tmp_path / "model.safetensors", {"padim": json.dumps(content)})
    assert torch.equal(
        load_safetensors(tmp_path / "model.safetensors")(drawn_images(1, SIZE)).score,
        load_safetensors(file)(drawn_images(1, SIZE)).score,
    )


def test_other_tensors_are_refused(file: Path, tmp_path: Path) -> None:
    state, content = load_file(file), {"padim": json.dumps(header(file))}
    name = "model.head.levels.0.whitening"
    for changed in ({}, {name: state[name][:-1].contiguous()}, {name: state[name], "more": torch.zeros(1)}):
        others = {key: value for key, value in state.items() if key != name}
        save_file(others | changed, tmp_path / "model.safetensors", content)
        with pytest.raises(ValueError, match="does not fit this version of padim"):
            load_safetensors(tmp_path / "model.safetensors")
