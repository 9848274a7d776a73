"""What a run leaves in W&B without a network, read back from its file."""

import csv
import json
import subprocess
from pathlib import Path

import pytest
import wandb

from padim.commands import ablate, evaluate, train
from tests.commands.test_run import TINY, run
from tests.commands.wandb_run import Run, read_runs

CURVES = {"image_roc", "pixel_roc", "pro"}


def only_run(folder: Path) -> Run:
    (found,) = read_runs(folder)
    return found


def table(folder: Path, name: str) -> tuple[list[str], list[list[object]]]:
    (file,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    content = json.loads(file.read_text())
    return content["columns"], content["data"]


@pytest.fixture
def fitted(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was given no more overrides than it takes."""
    folder = tmp_path / "fitted"
    overrides = [f"output_dir={folder}", f"dataset.root={synthetic}", *TINY]
    run(monkeypatch, train.main, *overrides, "logger=wandb", "logger.tags=[mine]", "logger.log_model=true")
    return folder


def test_a_run_is_listed_and_whole(fitted: Path) -> None:
    logged = only_run(fitted)
    assert logged.exit_code == 0
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert logged.listed == {
        "project": "padim",
        "group": "",
        "job_type": "train",
        "name": "dataset.resize=[72,72],dataset.image_size=[64,64],reduction.dim=20,data.batch_size=4",
        "tags": ["mine"],
        "commit": commit,  # which the client finds by itself, where there is one
    }
    metrics = json.loads((fitted / "metrics.json").read_text())
    assert {name: logged.summary[name] for name in metrics} == pytest.approx(metrics)
    assert logged.config["covariance"] == {"name": "sample", "eps": 0.01, "pool": 1}
    assert logged.config["data"]["image_size"] == [64, 64]  # resolved
    assert logged.artifacts["model"] == [str(fitted / "padim.ckpt")]


def test_the_table_of_kinds_and_the_curves(fitted: Path) -> None:
    with (fitted / "kinds.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    columns, data = table(fitted, "kinds")
    assert columns == header == ["kind", "images", "mean_score", "image_auroc"]
    assert [[str(value) if value is not None else "" for value in row] for row in data] == rows
    assert [row[:2] for row in rows[:2]] == [["good", "4"], ["colour", "1"]]
    with (fitted / "curves.csv").open(newline="") as file:
        curves = list(csv.DictReader(file))
    for name in CURVES:
        assert table(fitted, f"{name}_table")[1] == [
            [float(row["fpr"]), float(row["tpr"])] for row in curves if row["curve"] == name
        ]


@pytest.mark.slow
def test_evaluating_is_another_job_type(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={fitted / 'padim.ckpt'}", f"output_dir={folder}", "logger=wandb")
    logged = only_run(folder)
    assert logged.listed["job_type"] == "evaluate"
    assert "model" not in logged.artifacts


@pytest.mark.slow
def test_without_other_overrides_the_name_is_the_folders(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These say where things are, and not what is run."""
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'plain'}", f"dataset.root={synthetic}", "logger=wandb")
    assert only_run(tmp_path).listed["name"] == "plain"


@pytest.mark.slow
def test_padim_ablate_logs_a_row_for_each_head(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [override for override in TINY if "reduction" not in override]
    heads = ["+heads.a={layers: [l1, l2]}", "+heads.b={reduction: random, dim: 9, pool: all}"]
    run(monkeypatch, ablate.main, f"output_dir={tmp_path}", f"dataset.root={synthetic}", *small, *heads, "logger=wandb")
    logged = only_run(tmp_path)
    assert logged.exit_code == 0
    assert logged.listed["job_type"] == "ablate"
    with (tmp_path / "heads.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    columns, data = table(tmp_path, "heads")
    assert columns == header
    assert [["" if value is None else str(value) for value in row] for row in data] == rows
    assert logged.summary["train_images"] == 7


def test_a_failing_run_is_closed_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bottle" / "train" / "good").mkdir(parents=True)
    overrides = [f"output_dir={tmp_path}", "dataset=mvtec", f"dataset.root={tmp_path}", *TINY, "logger=wandb"]
    with pytest.raises(FileNotFoundError, match="no training images"):
        run(monkeypatch, train.main, *overrides)
    assert only_run(tmp_path).exit_code == 1
    assert wandb.run is None
