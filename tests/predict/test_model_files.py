"""A model that was exported says of images what its checkpoint says."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from padim.commands import export, predict
from tests.commands.test_run import run
from tests.predict.photos import plate, save


@pytest.mark.slow
@pytest.mark.parametrize("options", [["safetensors"], ["onnx"], ["onnx", "--preprocessing"]], ids=" ".join)
def test_an_exported_model_predicts_as_its_checkpoint(
    options: list[str], model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, exported = model("keep_aspect_crop"), tmp_path / f"model.{options[0]}"
    arguments = ["padim-export", str(checkpoint), "--format", *options, "--output", str(exported)]
    monkeypatch.setattr(sys, "argv", arguments)
    export.main()
    save(plate(0, (150, 211), [90, 60, 20, 17]), tmp_path / "images" / "defect.png")
    save(plate(1), tmp_path / "images" / "fine.png")
    found = []
    for file in (checkpoint, exported):
        out = tmp_path / file.name
        run(monkeypatch, predict.main, f"checkpoint={file}", f"input={tmp_path / 'images'}", f"output_dir={out}.out")
        found.append([json.loads(line) for line in Path(f"{out}.out", "predictions.jsonl").read_text().splitlines()])
    for ours, theirs in zip(*found, strict=True):
        assert ours.pop("score") == pytest.approx(theirs.pop("score"), rel=1e-4)
        for region, other in zip(ours["regions"], theirs["regions"], strict=True):
            assert region.pop("score") == pytest.approx(other.pop("score"), rel=1e-4)
        assert ours["shares"] == pytest.approx(theirs["shares"], abs=1e-3)
        assert {**ours, "shares": 0} == {**theirs, "shares": 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("device=cuda", r"device=cuda, but .*model.onnx runs on the CPU alone"),
        ("execution.bfloat16=true", r"execution.bfloat16: no frozen backbone of torch is in this model"),
    ],
)
def test_a_graph_runs_by_its_own_runtime(
    option: str, message: str, model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "model.onnx"
    arguments = ["padim-export", str(model("stretch")), "--format", "onnx", "--output", str(exported)]
    monkeypatch.setattr(sys, "argv", arguments)
    export.main()
    save(plate(1), tmp_path / "fine.png")
    with pytest.raises(ValueError, match=message):
        run(monkeypatch, predict.main, f"checkpoint={exported}", f"input={tmp_path / 'fine.png'}", option)
