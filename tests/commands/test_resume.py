"""A fit that is killed goes on; a sweep that is started again leaves out what has finished."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from padim.commands import ablate, evaluate, train
from tests.bits import same_bits
from tests.commands.test_run import TINY, rows, run
from tests.drawn import draw

IMAGES = 60
SLOWLY = [*TINY[:3], "data.batch_size=1", "save_every=3"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=IMAGES, test_good=2)
    return root


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, train.main, f"output_dir={folder}", f"dataset.root={root}", *SLOWLY)
    return folder


def images_in(progress: Path) -> int:
    return len(torch.load(progress, weights_only=True)["images"]) if progress.exists() else 0


def kill_on_the_way(root: Path, folder: Path, images: int, *overrides: str) -> None:
    """SIGKILL, once so many images are on disk."""
    command = [sys.executable, "-m", "padim.commands.train", f"output_dir={folder}", f"dataset.root={root}"]
    process = subprocess.Popen([*command, *SLOWLY, *overrides], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while images_in(folder / "progress" / "0.ckpt") < images:
            assert process.poll() is None, "the run was over before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def logged(folder: Path) -> str:
    """What the run wrote to its log; Hydra takes the tests' own handlers away."""
    (log,) = folder.glob("*.log")
    return log.read_text()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_bits(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice, in the second half of the images the second time."""
    kill_on_the_way(root, tmp_path, 6)
    first = images_in(tmp_path / "progress" / "0.ckpt")
    (tmp_path / "progress" / ".0.1.part.ckpt").write_bytes(b"half of one")
    kill_on_the_way(root, tmp_path, max(first + 3, IMAGES // 2))
    counted = images_in(tmp_path / "progress" / "0.ckpt")
    assert counted > first
    assert torch.load(tmp_path / "progress" / "0.ckpt", weights_only=True)["seconds"] < 120
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *SLOWLY)
    assert f"{counted} of {IMAGES} images are counted" in logged(tmp_path)
    assert same_bits(tmp_path, whole)
    assert not (tmp_path / "progress").exists()


@pytest.mark.slow
def test_of_another_configuration_it_starts_anew(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_on_the_way(root, tmp_path, 6, "seed=1")
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *SLOWLY)
    assert "progress is of another configuration or of other images: the fit starts anew" in logged(tmp_path)
    assert same_bits(tmp_path, whole)


@pytest.mark.slow
def test_with_another_image_of_a_name_it_starts_anew(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    shutil.copytree(root, images)
    kill_on_the_way(images, tmp_path / "run", 6)
    (counted, *_), (*_, other) = (sorted(images.glob("**/train/**/*.png")) for _ in range(2))
    shutil.copy(other, counted)
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'run'}", f"dataset.root={images}", *SLOWLY)
    assert "of other images: the fit starts anew" in logged(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["save_checkpoint", "test"])
def test_with_all_images_counted_it_still_finalises_and_counts_all_its_time(
    step: str, root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning calls no hook where there is no batch."""
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *SLOWLY]
    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(Trainer, step, interrupted)
        with pytest.raises(SystemExit, match="130"):
            run(at_the_end, train.main, *overrides)
    saved = torch.load(tmp_path / "progress" / "0.ckpt", weights_only=True)
    assert len(saved["images"]) == IMAGES
    torch.save(saved | {"seconds": 1000.0}, tmp_path / "progress" / "0.ckpt")
    run(monkeypatch, train.main, *overrides)
    assert f"{IMAGES} of {IMAGES} images are counted" in logged(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["fit_seconds"] > 1000
    assert same_bits(tmp_path, whole)
    assert not (tmp_path / "progress").exists()


def test_impossible_intervals(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="save_every=0; it must be 1 batch or more, or null: never"):
        run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *TINY, "save_every=0")


@pytest.mark.slow
@pytest.mark.parametrize("main", [train.main, ablate.main])
def test_a_sweep_again_runs_what_has_not_finished(
    main: object, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = ["+heads.a={layers: l1}"] if main is ablate.main else ["reduction.dim=5"]
    overrides = ["-m", f"output_dir={tmp_path}", f"dataset.root={root}", *TINY[:2], "trainer=debug", *heads]
    run(monkeypatch, main, *overrides, "data.batch_size=4,5")  # type: ignore[arg-type]
    folders = sorted(path.parent for path in tmp_path.glob("*/metrics.json"))
    times = [(folder / "metrics.json").stat().st_mtime_ns for folder in folders]
    (folders[0] / "finished.json").unlink()
    run(monkeypatch, main, *overrides, "data.batch_size=4,5")  # type: ignore[arg-type]
    again = [(folder / "metrics.json").stat().st_mtime_ns for folder in folders]
    assert (again[0] > times[0], again[1] == times[1]) == (True, True)
    assert f"{folders[1]} has finished already; delete it to run it again" in logged(folders[1])
    assert "has finished" not in logged(folders[0])


@pytest.mark.slow
def test_another_configuration_of_one_name_has_not_finished(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override that the folder's name leaves out."""
    overrides = ["-m", f"output_dir={tmp_path}", "trainer=debug", "seed=0", "hydra.sweep.subdir=job", *TINY]
    for other in (f"dataset.root={root}", "dataset.root=${oc.env:ELSEWHERE}"):
        monkeypatch.setenv("ELSEWHERE", str(root))
        run(monkeypatch, train.main, *overrides, other)
        written = (tmp_path / "job" / "metrics.json").stat().st_mtime_ns
        assert json.loads((tmp_path / "job" / "finished.json").read_text())["dataset"]["root"] == other.split("=")[1]
    run(monkeypatch, train.main, *overrides, other)
    assert (tmp_path / "job" / "metrics.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_run_by_itself_is_done_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *TINY, "trainer=debug"]
    run(monkeypatch, train.main, *overrides)
    os.truncate(tmp_path / "predictions.csv", 0)
    run(monkeypatch, train.main, *overrides)
    assert rows(tmp_path / "predictions.csv")


@pytest.mark.slow
def test_an_evaluation_of_another_model_of_one_name_has_not_finished(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = ["-m", f"checkpoint={tmp_path}/padim.ckpt", f"output_dir={tmp_path}/found", "hydra.sweep.subdir=job"]
    scores = []
    for seed in (0, 1, 1):
        if seed >= len(scores):
            run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *TINY, f"seed={seed}")
        run(monkeypatch, evaluate.main, *evaluation, "trainer.limit_test_batches=1")
        scores.append((tmp_path / "found" / "job" / "predictions.csv").read_bytes())
    assert scores[0] != scores[1] == scores[2]
    assert "job has finished already" in logged(tmp_path / "found" / "job")
