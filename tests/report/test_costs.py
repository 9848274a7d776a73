"""What methods cost, beside the paper's figures; runs of other methods in the paper's tables."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from padim.report import command as report
from padim.report.cell import cell_of
from padim.report.runs import find_runs
from tests.report.tree import train

SPADE = {"_target_": "padim.baselines.spade.SPADEModule", "backbone": "${backbone}", "layers": "${layers}"}


def run(folder: Path, percent: tuple[float, float, float], images: int = 200, **more: Any) -> None:
    """Of SPADE, with twice the memory for twice the images, or, without a model, of PaDiM."""
    method = "spade" if "model" in more else "padim"
    shard = {"dataset__shard": f"1/{200 // images}"} if images < 200 else {}
    train(folder, percent, backbone="wide_resnet50_2", dim=550, method=method, **shard, **more)
    facts = json.loads((folder / "metrics.json").read_text())
    model = 5.0 * images if method == "spade" else 4000.0
    facts |= {"image_seconds": 0.25, "model_mb": model, "train_images": images, "peak_memory_mb": 5000.0}
    (folder / "metrics.json").write_text(json.dumps(facts))


def reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    output = folder / "report"
    monkeypatch.setattr(sys, "argv", ["padim-report", str(folder / "runs"), "--output", str(output)])
    report.main()
    return output


def test_costs_stand_beside_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "runs/padim", (98, 97, 96))
    run(tmp_path / "runs/spade", (90, 91, 92), model=SPADE | {"neighbours": 50})
    output = reported(tmp_path, monkeypatch)
    with (output / "costs.csv").open(newline="") as file:
        padim, spade = csv.DictReader(file)
    assert (padim["model"], spade["model"]) == ("padim random 550", "spade, neighbours=50")
    assert [spade[name] for name in ("train_images", "image_ms", "image_ms_paper")] == ["200.0", "250.0", "7100.0"]
    assert float(spade["model_mb"]) == pytest.approx(1000 * 1.048576)
    assert float(spade["model_mb_paper"]) == 1400
    assert (padim["image_ms_paper"], padim["model_mb_paper"]) == ("950.0", "3800.0")
    assert [float(spade[name]) for name in ("image_auroc", "pixel_auroc", "pro")] == [90, 91, 92]
    assert "| SPADE " in (output / "report.md").read_text()
    assert "| AE-L2 (published)" in (output / "report.md").read_text()  # which has no run
    assert not (output / "memory.png").exists()


def test_memory_against_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for images in (50, 100, 200):
        run(tmp_path / f"runs/padim{images}", (98, 97, 96), images=images)
        run(tmp_path / f"runs/spade{images}", (90, 91, 92), images=images, model=SPADE)
    results = find_runs([tmp_path / "runs"])
    assert not results.repeated
    output = reported(tmp_path, monkeypatch)
    assert "![Memory against the images" in (output / "report.md").read_text()
    assert (output / "memory.png").stat().st_size > 10_000


def test_a_method_has_only_what_it_reads() -> None:
    config = {
        "backbone": {"name": "resnet18", "tag": "tv_in1k", "weights": "imagenet"},
        "layers": {"stages": [1, 2], "combine": "concat"},
        "reduction": {"name": "random", "dim": 100},
        "dataset": {"image_size": [64, 64]},
        "trainer": {"max_epochs": 7},
        "data": {"batch_size": 8},
        "model": {"_target_": "x", "learning_rate": 0.001, "layers": "${layers}", "seed": "${seed}"},
    }
    cell = cell_of(config, {"dataset": "mvtec", "method": "ae"})
    assert (cell.backbone, cell.weights, cell.layers, cell.reduction, cell.dim, cell.eps) == (
        "",
        "",
        "l12",
        "",
        None,
        None,
    )
    assert "learning_rate=0.001 epochs=7 batch_size=8" in cell.settings
    assert cell.method == "ae"
