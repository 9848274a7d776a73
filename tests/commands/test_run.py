"""Whole runs, as a user types them: what they leave behind, that they repeat, what they say when they cannot."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from padim.checkpoint import load_module, read_checkpoint
from padim.commands import evaluate, train
from padim.module import PaDiMModule
from tests.drawn import draw

SHARES = ["share layer3", "share layer2", "share layer1"]
TINY = ["dataset.resize=[72,72]", "dataset.image_size=[64,64]", "reduction.dim=20", "data.batch_size=4"]


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set where the reader looks for it."""
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=7, test_good=4)
    return root


def run(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *overrides: object) -> None:
    """A command in this process; errors surface as they are."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["padim", *map(str, overrides)])
    main()


def command(name: str, *overrides: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", f"padim.commands.{name}", *map(str, overrides)], capture_output=True, text=True
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    result = command("train", f"output_dir={folder}", f"dataset.root={synthetic}", *TINY)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_a_run_leaves_what_it_promises(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {name for name in metrics if not math.isnan(metrics[name])} == {
        *("image_auroc", "pixel_auroc", "pro", "pixel_auroc_error_bound"),
        *("fit_seconds", "test_seconds", "peak_memory_mb", "train_images", "test_images"),
        *("image_seconds", "model_mb"),
        *("oracle_f1", "oracle_lowest_alarm"),
    }
    assert all(0 <= metrics[name] <= 1 for name in ("image_auroc", "pixel_auroc", "pro"))
    assert (metrics["train_images"], metrics["test_images"]) == (7, 10)
    predictions = rows(folder / "predictions.csv")
    assert list(predictions[0]) == ["path", "label", "score", "level", *SHARES]
    for row in predictions:
        shares = [float(row[share]) for share in SHARES]
        assert sum(shares) == pytest.approx(1, abs=2e-4)
        assert SHARES[shares.index(max(shares))] == f"share {row['level']}"
    assert sum(int(row["label"]) for row in predictions) == 6
    assert all(Path(row["path"]).is_file() and math.isfinite(float(row["score"])) for row in predictions)
    assert (folder / ".hydra" / "config.yaml").is_file()
    assert f"image AUROC  {metrics['image_auroc']:.4f}" in printed
    assert "weights are random" in printed


def test_the_figure_shows_six_images_in_six_columns(finished: tuple[Path, str]) -> None:
    with Image.open(finished[0] / "extremes.png") as picture:
        assert picture.size == (1240, 1230)
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 1000


def test_the_checkpoint_holds_plain_values(finished: tuple[Path, str]) -> None:
    checkpoint = torch.load(finished[0] / "padim.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"]["reduction"] == {"name": "random", "dim": 20}
    assert checkpoint["config"]["backbone"]["weights"] == "random"
    # Lightning's own loader works too
    module = PaDiMModule.load_from_checkpoint(finished[0] / "padim.ckpt", map_location="cpu", weights_only=True)
    assert int(module.model.head.fitted) == 7


@pytest.mark.slow
def test_evaluating_in_a_new_process_gives_the_same_scores(finished: tuple[Path, str], tmp_path: Path) -> None:
    overrides = [f"checkpoint={finished[0] / 'padim.ckpt'}", f"output_dir={tmp_path}", "data.batch_size=4"]
    result = command("evaluate", *overrides)
    assert result.returncode == 0, result.stderr
    for name in ("predictions.csv", "extremes.png"):
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()
    ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path, finished[0]))
    assert ours["pro"] == theirs["pro"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process and another global random state; two more workers and a smaller batch change no score."""
    expected = finished[0] / "predictions.csv"
    torch.manual_seed(123)
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'same'}", f"dataset.root={synthetic}", *TINY)
    assert (tmp_path / "same" / "predictions.csv").read_bytes() == expected.read_bytes()

    options = [*TINY[:-1], "data.batch_size=3", "data.num_workers=2"]
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'batch'}", f"dataset.root={synthetic}", *options)
    for ours, theirs in zip(rows(tmp_path / "batch" / "predictions.csv"), rows(expected), strict=True):
        assert float(ours["score"]) == pytest.approx(float(theirs["score"]), rel=1e-4)


@pytest.mark.slow
def test_another_seed_draws_other_channels(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={synthetic}", "seed=1", *TINY)
    assert (tmp_path / "predictions.csv").read_bytes() != (finished[0] / "predictions.csv").read_bytes()
    ours, theirs = (load_module(folder / "padim.ckpt").model.head for folder in (tmp_path, finished[0]))
    assert not torch.equal(ours.embedding.matrices[2], theirs.embedding.matrices[2])


@pytest.mark.slow
def test_without_its_state_a_checkpoint_is_smaller_and_scores_the_same(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", "model.save_state=false", *TINY]
    run(monkeypatch, train.main, *overrides)
    assert (tmp_path / "predictions.csv").read_bytes() == (finished[0] / "predictions.csv").read_bytes()
    state = read_checkpoint(tmp_path / "padim.ckpt")["state_dict"]
    assert not any("scatter" in key for key in state)
    overrides = [f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'again'}", "data.batch_size=4"]
    run(monkeypatch, evaluate.main, *overrides)
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (tmp_path / "predictions.csv").read_bytes()


def test_evaluating_other_images(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(synthetic, "wood", train=2, test_good=2)
    checkpoint = f"checkpoint={finished[0] / 'padim.ckpt'}"
    run(monkeypatch, evaluate.main, checkpoint, f"output_dir={tmp_path}", "dataset.category=wood")
    assert {Path(row["path"]).parents[2].name for row in rows(tmp_path / "predictions.csv")} == {"wood"}


def test_another_data_set_keeps_the_preprocessing(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as MVTec AD, the same images give the same scores: 72 pixels cropped to 64, not 256 to 224."""
    root = next(synthetic.glob("*/board")).parent
    data = ["dataset=mvtec", f"dataset.root={root}", "dataset.category=board", "data.batch_size=4"]
    run(monkeypatch, evaluate.main, f"checkpoint={finished[0] / 'padim.ckpt'}", f"output_dir={tmp_path}", *data)
    assert (tmp_path / "predictions.csv").read_bytes() == (finished[0] / "predictions.csv").read_bytes()


@pytest.mark.parametrize("target", ["pathlib.Path.touch", "padim.data.once.tempfile._os.system", "os.system"])
def test_a_checkpoint_cannot_choose_what_runs(
    finished: tuple[Path, str], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = torch.load(finished[0] / "padim.ckpt", weights_only=True)
    checkpoint["config"]["dataset"]["reader"] = {"_target_": target, "_args_": [str(tmp_path / "executed")]}
    torch.save(checkpoint, tmp_path / "padim.ckpt")
    with pytest.raises(ValueError, match="names no data set of padim; choose one"):
        run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'out'}")
    assert not (tmp_path / "executed").exists()


def test_one_training_image_is_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "wood", train=1, test_good=1)
    overrides = [f"output_dir={tmp_path}", f"dataset.root={tmp_path}", "dataset.category=wood", *TINY]
    with pytest.raises(ValueError, match="at least 2 images, found 1; give more training images"):
        run(monkeypatch, train.main, *overrides)
    assert not (tmp_path / "padim.ckpt").exists()


def test_two_epochs_are_refused(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would count every image twice."""
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, "trainer.max_epochs=2"]
    with pytest.raises(ValueError, match=r"trainer.max_epochs=2 counts images more than once; it must be 1"):
        run(monkeypatch, train.main, *overrides)


def test_an_unfitted_checkpoint_is_refused(
    finished: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = torch.load(finished[0] / "padim.ckpt", weights_only=True)
    checkpoint["state_dict"]["model.head.fitted"].zero_()
    torch.save(checkpoint, tmp_path / "padim.ckpt")
    with pytest.raises(RuntimeError, match="not fitted to the 7 images in its statistics"):
        run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'out'}")


@pytest.mark.slow
def test_a_sweep_runs_its_jobs_apart(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY[:2], "trainer=debug"]
    run(monkeypatch, train.main, "-m", *overrides, "reduction.dim=4,5")
    jobs = sorted(path.parent for path in tmp_path.glob("*/metrics.json"))
    dims = [read_checkpoint(job / "padim.ckpt")["config"]["reduction"]["dim"] for job in jobs]
    assert dims == [4, 5]
    # their names have = and , in them, and still make a path that padim-evaluate takes
    run(monkeypatch, evaluate.main, f"checkpoint='{jobs[0]}/padim.ckpt'", f"output_dir={tmp_path / 'again'}")
    assert (tmp_path / "again" / "metrics.json").is_file()


def test_tensorboard_gets_the_metrics(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY]
    run(monkeypatch, train.main, *overrides, "logger=tensorboard")
    tags = set()
    for file in (tmp_path / "tensorboard").glob("events*"):
        events = EventAccumulator(str(file)).Reload()
        tags |= set(events.Tags()["scalars"])
    assert {"image_auroc", "pixel_auroc", "pro", "fit_seconds"} <= tags


@pytest.mark.slow
def test_the_peak_memory_is_not_the_parents() -> None:
    """Linux hands the peak of the parent on to a child as its ru_maxrss."""
    held = torch.ones(2**29)  # 2 GiB
    script = "from padim.commands.run import peak_memory_mb; print(peak_memory_mb())"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert 50 < float(printed) < held.nbytes / 2**20


@pytest.mark.slow
def test_without_a_size_the_networks_own_is_taken(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        f"output_dir={tmp_path}",
        f"dataset.root={synthetic}",
        "dataset.image_size=null",
        "dataset.resize=null",
    ]
    run(
        monkeypatch, train.main, *overrides, "backbone=efficientnet_b4", "layers=l3", "reduction.dim=9", "trainer=debug"
    )
    assert load_module(tmp_path / "padim.ckpt").model.backbone.image_size == (380, 380)
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'again'}")


@pytest.mark.slow
def test_a_typo_is_refused_before_any_work(tmp_path: Path) -> None:
    result = command("train", "reduction.dmi=20", f"output_dir={tmp_path}")
    assert result.returncode == 1
    assert "Key 'dmi' is not in struct" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_evaluating_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"padim-train writes OUTPUT_DIR/padim.ckpt"):
        run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path}")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    for name in ("foreign.ckpt", "text.ckpt"):
        with pytest.raises(ValueError, match=f"{name} is not a checkpoint of padim"):
            run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / name}", f"output_dir={tmp_path}")
