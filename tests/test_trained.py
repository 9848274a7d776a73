"""What is trained: killed it goes on to the same bits, and what cannot be trained is told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from padim.baselines.ae_l2 import AEL2Module
from padim.checkpoint import read_checkpoint
from padim.commands import train
from padim.trained import TrainedMethod, generator_of
from tests.baselines.runs import TINY
from tests.bits import same_bits
from tests.commands.test_run import run
from tests.drawn import draw

EPOCHS, STEPS = 4, 3
SHORT = [*TINY, "dataset.resize=[36,36]", "dataset.image_size=[32,32]", f"trainer.max_epochs={EPOCHS}", "save_every=1"]
METHODS = {"ae_l2": [], "ganomaly": ["model.channels=4"], "vae": ["layers=l1", "model.latent=4"]}
SLOW = pytest.mark.slow
ANEW = "progress is of another configuration or of other images: the fit starts anew"


class StoppedError(Exception):
    """Of a run; a KeyboardInterrupt would end pytest, since Lightning and the command turn it into a SystemExit."""


def command(root: Path, folder: Path, method: str, *overrides: str) -> list[str]:
    given = [f"method={method}", f"dataset.root={root}", f"output_dir={folder}", *SHORT, *METHODS[method]]
    return [*given, *overrides]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 images, so that the last batch is smaller than the others."""
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=20, test_good=2)
    return root


@pytest.fixture(scope="module", params=["ae_l2", *(pytest.param(name, marks=SLOW) for name in ("ganomaly", "vae"))])
def whole(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A method, and the folder of a run of it that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, train.main, *command(root, folder, request.param))
    return request.param, folder


def epochs_in(folder: Path) -> int:
    file = folder / "progress" / "epoch.ckpt"
    return torch.load(file, weights_only=True)["epoch"] + 1 if file.exists() else 0


def interrupt(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """After so many steps of a training."""
    taken, learn = [], TrainedMethod.training_step

    def counted(module: TrainedMethod, batch: object, batch_idx: int) -> object:
        if len(taken) == steps:
            raise StoppedError
        taken.append(batch_idx)
        return learn(module, batch, batch_idx)

    monkeypatch.setattr(TrainedMethod, "training_step", counted)


def logged(folder: Path) -> str:
    (log,) = folder.glob("*.log")
    return log.read_text()


def test_the_page_counts_the_images_of_every_epoch(whole: tuple[str, Path]) -> None:
    _, folder = whole
    seconds = json.loads((folder / "metrics.json").read_text())["fit_seconds"]
    assert f"{seconds:.1f} s, {20 * EPOCHS / seconds:.1f} images a second" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_two_runs_give_the_same_bits(whole: tuple[str, Path], root: Path, tmp_path: Path) -> None:
    method, folder = whole
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, train.main, *command(root, tmp_path, method))
    assert same_bits(tmp_path, folder)


@pytest.mark.parametrize(
    "steps", [2 * STEPS + 1, *(pytest.param(steps, marks=SLOW) for steps in (STEPS, (EPOCHS - 1) * STEPS))]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(
    whole: tuple[str, Path], steps: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an epoch, at the end of one, and before the last."""
    method, folder = whole
    with monkeypatch.context() as interrupted:
        interrupt(interrupted, steps)
        with pytest.raises(StoppedError):
            run(interrupted, train.main, *command(root, tmp_path, method))
    assert epochs_in(tmp_path) == steps // STEPS
    saved = torch.load(tmp_path / "progress" / "epoch.ckpt", weights_only=True)
    torch.save(saved | {"seconds": 1000.0}, tmp_path / "progress" / "epoch.ckpt")
    run(monkeypatch, train.main, *command(root, tmp_path, method))
    assert f"{steps // STEPS} epochs are done" in logged(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["fit_seconds"] > 1000
    assert same_bits(tmp_path, folder)
    assert not (tmp_path / "progress").exists()


@SLOW
def test_interrupted_before_the_model_is_saved_it_does_the_last_epoch_again(
    whole: tuple[str, Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, folder = whole
    saved = Trainer.save_checkpoint

    def interrupted(trainer: Trainer, path: Path, weights_only: bool) -> None:
        if weights_only:
            raise StoppedError
        saved(trainer, path, weights_only)

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(Trainer, "save_checkpoint", interrupted)
        with pytest.raises(StoppedError):
            run(at_the_end, train.main, *command(root, tmp_path, method))
    assert epochs_in(tmp_path) == EPOCHS - 1
    run(monkeypatch, train.main, *command(root, tmp_path, method))
    assert same_bits(tmp_path, folder)


@pytest.mark.parametrize(("every", "epochs"), [("4", 2), ("null", 0)])
def test_it_is_saved_no_more_often_than_is_asked_for(every: str, epochs: int, root: Path, tmp_path: Path) -> None:
    """Interrupted in the fourth epoch of three batches."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt(monkeypatch, 3 * STEPS)
        with pytest.raises(StoppedError):
            run(monkeypatch, train.main, *command(root, tmp_path, "ae_l2", f"save_every={every}"))
    assert epochs_in(tmp_path) == epochs


def interrupted_after_one(root: Path, folder: Path, *overrides: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        interrupt(monkeypatch, STEPS)
        with pytest.raises(StoppedError):
            run(monkeypatch, train.main, *command(root, folder, "ae_l2", *overrides))


@pytest.mark.parametrize("whole", ["ae_l2"], indirect=True)
def test_of_another_configuration_it_starts_anew(
    whole: tuple[str, Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after_one(root, tmp_path, "seed=1")
    run(monkeypatch, train.main, *command(root, tmp_path, "ae_l2"))
    assert ANEW in logged(tmp_path)
    assert same_bits(tmp_path, whole[1])


@SLOW
def test_of_other_images_it_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    category = draw(tmp_path / "data", "board", train=20, test_good=2)
    interrupted_after_one(tmp_path / "data", tmp_path / "run")
    (category / "train" / "good" / "019.png").unlink()
    run(monkeypatch, train.main, *command(tmp_path / "data", tmp_path / "run", "ae_l2"))
    assert ANEW in logged(tmp_path / "run")
    assert len(read_checkpoint(tmp_path / "run" / "padim.ckpt")["images"]) == 19


def test_a_loss_that_is_no_number_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) in epoch 1, .*: model.learning_rate=1e\+30 is too"):
        run(monkeypatch, train.main, *command(root, tmp_path, "ae_l2", "model.learning_rate=1e30"))


@SLOW
def test_several_processes_are_refused(root: Path, tmp_path: Path) -> None:
    given = command(root, tmp_path, "ae_l2", "trainer=ddp")
    result = subprocess.run([sys.executable, "-m", "padim.commands.train", *given], capture_output=True, text=True)
    assert result.returncode != 0
    assert "method=ae_l2 trains in one process, and these are 2; give trainer=default" in result.stderr


@SLOW
def test_a_killed_training_goes_on_to_the_same_bits(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own, killed twice."""
    for epochs in (1, 5):
        given = command(root, tmp_path / "killed", "ae_l2", "trainer.max_epochs=60")
        process = subprocess.Popen(
            [sys.executable, "-m", "padim.commands.train", *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
        deadline = time.monotonic() + 60
        try:
            while epochs_in(tmp_path / "killed") < epochs:
                assert process.poll() is None, "the run was over before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    done = epochs_in(tmp_path / "killed")
    assert done < 60
    for folder in (tmp_path / "killed", tmp_path / "whole"):
        run(monkeypatch, train.main, *command(root, folder, "ae_l2", "trainer.max_epochs=60"))
    assert f"{done} epochs are done" in logged(tmp_path / "killed")
    assert same_bits(tmp_path / "killed", tmp_path / "whole")


def test_what_makes_no_sense_is_told(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"trainer.max_epochs=0; method=ae_l2 takes 1 epoch or more"):
        run(monkeypatch, train.main, *command(root, tmp_path, "ae_l2", "trainer.max_epochs=0"))
    for rate, decay in ((0.0, 0.0), (-1.0, 0.0), (1e-3, -1.0), (float("nan"), 0.0)):
        with pytest.raises(ValueError, match=rf"model.learning_rate={rate} must be above 0, .*, {decay}, at least 0"):
            AEL2Module([32, 32], latent=5, learning_rate=rate, weight_decay=decay, seed=0)


def test_what_is_drawn_depends_on_seed_epoch_and_batch() -> None:
    """Not on what was drawn before."""
    steps = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    drawn = [torch.randn(5, generator=generator_of(step, torch.device("cpu"))).tolist() for step in steps]
    assert drawn[0] == drawn[-1]
    assert len({tuple(numbers) for numbers in drawn}) == len(drawn) - 1
