"""The jobs of a local sweep share a process and nothing else."""

import json
import logging
import os
import sys
import threading
import warnings
from pathlib import Path

import pytest
import torch
import wandb

from padim.commands import train
from tests.commands.test_run import TINY, command, run
from tests.commands.wandb_run import read_runs

SEEDS = (0, 1, 2, 3)
# Large enough that a model which is kept, of 150 MiB, stands out from what an allocator keeps, 15.
LARGE = ["dataset.resize=[128,128]", "dataset.image_size=[112,112]", "data.batch_size=4"]
BOUND = 60  # MiB


@pytest.fixture(scope="module")
def sweep(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of four jobs."""
    folder = tmp_path_factory.mktemp("sweep") / "four"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_TRIM_THRESHOLD_", "0")  # what is freed goes back at once, so that what is not shows
        overrides = [f"output_dir={folder}", f"dataset.root={synthetic}", *LARGE, "logger=wandb"]
        result = command("train", "-m", *overrides, f"seed={','.join(map(str, SEEDS))}")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slurm
def test_four_jobs_are_four_runs(sweep: Path) -> None:
    runs = {logged.config["seed"]: logged for logged in read_runs(sweep)}
    assert sorted(runs) == list(SEEDS)
    (common,) = {logged.listed["name"].replace(f"seed={seed}", "") for seed, logged in runs.items()}
    assert common.startswith("dataset.resize=[128,128]")
    for seed, logged in runs.items():
        (job,) = sweep.glob(f"*seed={seed}*")
        metrics = json.loads((job / "metrics.json").read_text())
        assert {name: logged.summary[name] for name in metrics} == pytest.approx(metrics)
        assert logged.exit_code == 0
        assert logged.listed["group"] == "four"


@pytest.mark.slurm
def test_the_last_job_is_the_same_as_alone(
    sweep: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the seeds nor the random state of the jobs before it matter."""
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *LARGE, f"seed={SEEDS[-1]}"]
    run(monkeypatch, train.main, *overrides)
    (job,) = sweep.glob(f"*seed={SEEDS[-1]}*")
    for name in ("predictions.csv", "kinds.csv", "curves.csv"):
        assert (job / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.slurm
def test_the_memory_is_flat(sweep: Path) -> None:
    """The peak that each job has seen since the process began: a model that was kept would lift all later ones."""
    peaks = [json.loads(path.read_text())["peak_memory_mb"] for path in sweep.glob("*/metrics.json")]
    first, *later = sorted(peaks)
    assert max(later) - first < BOUND


def state() -> dict[str, object]:
    """What a job could leave behind in its process."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    return {
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "warnings": list(warnings.filters),
        "levels": {logger.name: logger.level for logger in [logging.root, *loggers]},
        "handlers": {logger.name: len(logger.handlers) for logger in [logging.root, *loggers]},
        "streams": (sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, threading.excepthook),
        "seed": torch.initial_seed(),  # drawing is fair, and W&B and DataLoader do; seeding is not
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.is_inference_mode_enabled()),
        "cwd": Path.cwd(),
        "run": wandb.run,
    }


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_nothing_is_left_in_the_process(
    ends: str, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"dataset.root={synthetic}", *TINY, "logger=wandb", "trainer=debug"]
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'first'}", *overrides)  # what is imported and set up once
    before = state()
    if ends == "badly":
        with pytest.raises(ValueError, match="max_epochs"):
            run(monkeypatch, train.main, f"output_dir={tmp_path / 'second'}", *overrides, "trainer.max_epochs=2")
    else:
        run(monkeypatch, train.main, f"output_dir={tmp_path / 'second'}", *overrides)
    after = state()
    assert {name: after[name] for name in before} == before
