"""Several processes on this machine give what one gives: statistics, metrics, one predictions.csv, a list of skips."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from padim.checkpoint import read_checkpoint
from tests.commands.test_run import TINY, command, rows
from tests.drawn import draw

pytestmark = pytest.mark.slurm
IMAGES = 7  # odd
METRICS = ("image_auroc", "pixel_auroc", "pro", "train_images", "test_images")


def ranks(number: int) -> list[str]:
    return ["trainer=ddp", f"trainer.devices={number}"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=IMAGES, test_good=3)
    return root


def train(root: Path, folder: Path, *overrides: str) -> Path:
    result = command("train", f"output_dir={folder}", f"dataset.root={root}", *TINY, *overrides)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def alone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one process."""
    return train(root, tmp_path_factory.mktemp("alone"))


def assert_same_run(ours: Path, theirs: Path, bound: float = 1e-5) -> None:
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (ours, theirs)]
    assert [metrics[0][name] for name in METRICS] == pytest.approx([metrics[1][name] for name in METRICS], rel=bound)
    checkpoints = [read_checkpoint(folder / "padim.ckpt") for folder in (ours, theirs)]
    assert sorted(checkpoints[0]["images"]) == sorted(checkpoints[1]["images"])
    for name, value in checkpoints[1]["state_dict"].items():
        if "statistics.levels" in name:
            assert (checkpoints[0]["state_dict"][name] - value).abs().max() <= bound * value.abs().max()
    predictions = [rows(folder / "predictions.csv") for folder in (ours, theirs)]
    assert [row["path"] for row in predictions[0]] == [row["path"] for row in predictions[1]]
    scores = [[float(row["score"]) for row in of_run] for of_run in predictions]
    assert scores[0] == pytest.approx(scores[1], rel=bound)


def test_two_processes_are_one(root: Path, alone: Path, tmp_path: Path) -> None:
    """7 and 9 images, which two does not divide; in padim-evaluate as well."""
    assert_same_run(train(root, tmp_path / "two", *ranks(2)), alone)
    names = ("metrics.json", "padim.ckpt", "predictions.csv", "curves.csv", "extremes.png", "finished.json")
    assert all((tmp_path / "two" / name).is_file() for name in names)
    overrides = [f"checkpoint={alone / 'padim.ckpt'}", f"output_dir={tmp_path / 'again'}", "data.batch_size=4"]
    result = command("evaluate", *overrides, *ranks(2))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again" / "curves.csv").read_bytes() == (alone / "curves.csv").read_bytes()


def test_more_processes_than_images(root: Path, tmp_path: Path) -> None:
    """Two to fit, one to test, three processes: one and two of them have none."""
    folder = tmp_path / "images"
    (folder / "train").mkdir(parents=True)
    photos = sorted(root.glob("*/board/train/good/*.png"))[:3]
    for number, photo in enumerate(photos):
        place = folder / ("train" if number < 2 else "test_good")
        place.mkdir(exist_ok=True)
        (place / photo.name).write_bytes(photo.read_bytes())
    few = ["dataset=folder", "covariance.eps=0.1"]
    runs = [train(folder, tmp_path / str(number), *few, *ranks(number)) for number in (1, 3)]
    checkpoints = [read_checkpoint(run / "padim.ckpt")["state_dict"] for run in runs]
    for name, value in checkpoints[0].items():
        if "statistics.levels" in name:
            assert (checkpoints[1][name] - value).abs().max() <= 1e-5 * value.abs().max()
    scores = [[float(row["score"]) for row in rows(run / "predictions.csv")] for run in runs]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_heads_of_two_processes_are_those_of_one(root: Path, tmp_path: Path) -> None:
    """So is the list of the images that are left out, of all processes."""
    photo = sorted(root.glob("*/board/train/good/*.png"))[-1]
    folder = root.parent / "broken"
    folder.mkdir()
    for file in root.glob("*/board/*/*/*.png"):
        place = folder / file.relative_to(photo.parents[3])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    (folder / photo.relative_to(photo.parents[3])).write_bytes(b"no image")
    data = ["dataset=mvtec", f"dataset.root={folder}", "dataset.category=board", "dataset.on_error=skip"]
    heads = ["+heads.a={layers: [l1, sum12]}", "+heads.b={reduction: [random, pca], dim: 20}", "data.batch_size=2"]
    for name, processes in (("one", []), ("two", ranks(2))):
        result = command("ablate", f"output_dir={tmp_path / name}", *data, *TINY[:2], *heads, *processes)
        assert result.returncode == 0, result.stderr
    ours, theirs = (rows(tmp_path / name / "heads.csv") for name in ("two", "one"))
    assert [row["name"] for row in ours] == [row["name"] for row in theirs]
    for row, other in zip(ours, theirs, strict=True):
        assert [float(row[m]) for m in METRICS[:3]] == pytest.approx([float(other[m]) for m in METRICS[:3]], abs=1e-4)
    assert (tmp_path / "two" / "skipped.csv").read_bytes() == (tmp_path / "one" / "skipped.csv").read_bytes()
    assert len(rows(tmp_path / "two" / "skipped.csv")) == 1


def test_killed_processes_go_on_as_another_number_of_them(root: Path, alone: Path, tmp_path: Path) -> None:
    slowly = [f"output_dir={tmp_path}", f"dataset.root={root}", *TINY[:3], "data.batch_size=1", "save_every=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "padim.commands.train", *slowly, *ranks(2)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip
    progress = [tmp_path / "progress" / f"{rank}.ckpt" for rank in (0, 1)]
    deadline = time.monotonic() + 90
    while not all(file.exists() for file in progress) and time.monotonic() < deadline:
        assert process.poll() is None, "the run was over before it could be killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    counted = [len(torch.load(file, weights_only=True)["images"]) for file in progress]
    result = command("train", *slowly)
    assert result.returncode == 0, result.stderr
    assert f"{sum(counted)} of {IMAGES} images are counted" in result.stdout + result.stderr
    assert_same_run(tmp_path, alone)


def test_a_job_of_a_local_sweep_starts_no_processes(root: Path, tmp_path: Path) -> None:
    """Each of them would run the whole sweep."""
    sweep = ["-m", f"output_dir={tmp_path}", f"dataset.root={root}", *TINY, "seed=0,1", *ranks(2)]
    result = command("train", *sweep)
    assert result.returncode == 1
    assert "trainer=ddp in a sweep needs hydra/launcher=slurm_cpu or slurm_gpu" in result.stderr


def test_tasks_and_devices_must_agree(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks of one device each would run twice, silently, into one folder."""
    for name in ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    result = command("train", f"output_dir={tmp_path}", f"dataset.root={root}", *TINY)
    assert result.returncode == 1
    assert (
        "SLURM has started 2 tasks, and trainer.devices x trainer.num_nodes is 1; they must be equal" in result.stderr
    )
    assert not (tmp_path / "padim.ckpt").exists()
