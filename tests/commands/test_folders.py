"""Where runs write to: what is left of the run before, and what would be written over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from padim.checkpoint import read_checkpoint
from padim.commands import predict, train, update
from padim.commands.folders import Folders
from tests.commands.model_files import written
from tests.commands.test_run import TINY, run
from tests.drawn import draw


@pytest.mark.parametrize(
    ("main", "overrides", "swept"),
    [
        (train.main, ["dataset.root=a,b"], "dataset.root=a,b is a sweep over dataset.root"),
        (train.main, ["seed=0,1", "backbone.weights=random,imagenet"], "over backbone.weights, which the names"),
        (predict.main, ["checkpoint=c", "input=i", "output_dir=a,b"], "over output_dir"),
    ],
)
def test_a_sweep_into_one_folder_is_refused(
    main: Callable[[], None], overrides: list[str], swept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all its jobs, the last one's results were left."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"{swept}.*each job would overwrite the one before"):
        run(monkeypatch, main, "-m", *overrides)
    assert list(tmp_path.iterdir()) == []


def test_what_an_experiment_sweeps_counts_as_well() -> None:
    """As a configuration of an experiment has it."""
    hydra = {
        "overrides": {"task": ["seed=0"]},
        "sweeper": {"params": {"seed": "1,2", "dataset.root": "a,b"}},
        "sweep": {"subdir": "${hydra.job.override_dirname}"},
        "job": {"config": {"override_dirname": {"exclude_keys": ["dataset.root"]}}},
    }
    with pytest.raises(SystemExit, match=r"dataset\.root=a,b is a sweep over dataset\.root"):
        Folders().on_multirun_start(OmegaConf.create({"output_dir": "out", "hydra": hydra}))
    hydra["sweeper"] = {"params": {"seed": "1,2", "dataset.root": "a"}}
    Folders().on_multirun_start(OmegaConf.create({"output_dir": "out", "hydra": hydra}))


@pytest.mark.slow
def test_with_folders_of_its_own_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        draw(tmp_path / name, "board", train=4, test_good=1)
    roots = f"dataset.root={tmp_path}/a,{tmp_path}/b"
    options = [f"output_dir={tmp_path / 'sweep'}", "hydra.sweep.subdir=${hydra.job.num}", *TINY, "trainer=debug"]
    run(monkeypatch, train.main, "-m", roots, *options)
    written_to = sorted(path.parent.name for path in (tmp_path / "sweep").glob("*/padim.ckpt"))
    assert written_to == ["0", "1"]


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_folder_whose_name_became_a_number_is_refused(
    multirun: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"output_dir=20240115 is no path.*output_dir=\./2024_01_15"):
        run(monkeypatch, train.main, *multirun, "output_dir=2024_01_15")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=5, test_good=1)
    return root


def test_what_a_run_does_not_write_is_not_left_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *TINY]
    run(monkeypatch, train.main, *overrides, "dataset.on_error=skip")
    of_tests = [tmp_path / "extremes.png", tmp_path / "skipped.csv"]
    assert all(path.is_file() for path in of_tests)
    run(monkeypatch, train.main, *overrides, "trainer.limit_test_batches=0")
    assert not any(path.exists() for path in of_tests)
    assert "image_seconds" not in json.loads((tmp_path / "metrics.json").read_text())


def test_sizes_that_refer_to_others_are_kept_as_numbers(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither padim-predict nor padim-update could read the checkpoint."""
    sizes = ["dataset.resize=[64,64]", "dataset.image_size=${dataset.resize}"]
    overrides = [f"output_dir={tmp_path / 'run'}", f"dataset.root={root}", *TINY[2:], *sizes]
    run(monkeypatch, train.main, *overrides, "trainer.limit_test_batches=0")
    checkpoint = tmp_path / "run" / "padim.ckpt"
    assert read_checkpoint(checkpoint)["config"]["dataset"]["image_size"] == [64, 64]
    other = draw(tmp_path / "other", "gear", train=2, test_good=1) / "train"
    written(monkeypatch, update.main, tmp_path / "new.ckpt", checkpoint, "--add", other)
