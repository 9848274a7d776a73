"""A run with a threshold: where it comes from, what it decides, and when it is void."""

import json
from pathlib import Path

import pytest
import torch

from padim.checkpoint import load_module
from padim.commands import evaluate, execution, export, predict, train
from tests.commands.model_files import written
from tests.commands.test_run import TINY, rows, run
from tests.drawn import draw

QUICK = [*TINY, "calibration.alpha=0.2"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=20, test_good=4)
    return root


@pytest.mark.parametrize(
    ("options", "fitted", "calibrating"),
    [
        (["dataset.calibration_fraction=0.2"], 16, 4),
        pytest.param(["calibration=leave_one_out"], 20, 20, marks=pytest.mark.slow),
    ],
)
def test_alarms_are_scores_above_the_threshold(
    options: list[str], fitted: int, calibrating: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the run and in an evaluation of its checkpoint."""
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, *options)
    module = load_module(tmp_path / "padim.ckpt")
    assert module.calibration is not None
    assert (module.calibration.fitted, len(module.calibration.scores)) == (fitted, calibrating)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["threshold"] == module.calibration.threshold
    predictions = rows(tmp_path / "predictions.csv")
    assert list(predictions[0])[:6] == ["path", "label", "score", "p_value", "alarm", "level"]
    for row in predictions:
        alarm = float(row["score"]) > metrics["threshold"]
        assert (int(row["alarm"]), float(row["p_value"]) <= 0.2) == (alarm, alarm)
    normal = [int(row["alarm"]) for row in predictions if row["label"] == "0"]
    assert metrics["false_alarm_rate"] == sum(normal) / len(normal)
    overrides = [f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'again'}", "data.batch_size=4"]
    run(monkeypatch, evaluate.main, *overrides)
    assert (tmp_path / "again" / "predictions.csv").read_bytes() == (tmp_path / "predictions.csv").read_bytes()


def test_too_few_images_give_no_threshold(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *TINY, "dataset.calibration_fraction=0.2"]
    run(monkeypatch, train.main, *overrides)
    (log,) = tmp_path.glob("*.log")
    assert "no threshold: a false-alarm rate of alpha=0.05 needs 19 calibration images, found 4, 15 too few" in (
        log.read_text()
    )
    assert "; dataset.calibration_fraction sets how many are kept out" in log.read_text()
    assert "threshold" not in json.loads((tmp_path / "metrics.json").read_text())
    assert load_module(tmp_path / "padim.ckpt").calibration is None


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("dataset.calibration_fraction=0.1", "keeps others out for none; set it to 0, or calibration=held_out"),
        ("augmentation.repeats=2", "leave one of the 2 views of an image out"),
        ("covariance=oas", "leave-one-out distances are known for covariance=eps"),
    ],
)
def test_impossible_thresholds_are_refused_before_the_fit(
    override: str, reason: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, "calibration=leave_one_out", override]
    with pytest.raises(ValueError, match=reason):
        run(monkeypatch, train.main, *overrides)
    assert not (tmp_path / "padim.ckpt").exists()


@pytest.mark.parametrize(("batches", "calibrating"), [(3, 12), (1, None)])
def test_only_what_was_fitted_is_left_out_in_turn(
    batches: int, calibrating: int | None, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of four, or one of two, which are too few: the fit is saved all the same."""
    overrides = [f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, "calibration=leave_one_out"]
    limits = [f"trainer.limit_train_batches={batches}", f"data.batch_size={4 if calibrating else 2}"]
    run(monkeypatch, train.main, *overrides, *limits)
    module = load_module(tmp_path / "padim.ckpt")
    assert module.fitted == (calibrating or 2)
    assert (len(module.calibration.scores) if module.calibration else None) == calibrating


def test_other_images_void_it(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, "calibration=leave_one_out")
    module = load_module(tmp_path / "padim.ckpt")
    image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    module.model.update(image)
    assert module.calibration is None
    module.model.remove(image)
    assert module.calibration is not None  # the model is the one before


@pytest.mark.slow
def test_a_threshold_of_scores_in_another_type_is_told_of(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(execution.log, "warning", lambda message, *values: told.append(message % values))
    in_bfloat16, model = "execution.bfloat16=true", tmp_path / "padim.ckpt"
    options = [f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, "calibration=leave_one_out"]
    run(monkeypatch, train.main, *options, in_bfloat16, "trainer.limit_test_batches=1")
    asked = {evaluate.main: "trainer.limit_test_batches=1", predict.main: f"input={root}"}
    for main, what in asked.items():
        run(monkeypatch, main, f"checkpoint={model}", f"output_dir={tmp_path / main.__name__}", what, in_bfloat16)
    written(monkeypatch, export.main, tmp_path / "padim.safetensors", model, "--format=safetensors")
    assert not told
    for main, what in asked.items():
        run(monkeypatch, main, f"checkpoint={model}", f"output_dir={tmp_path / main.__module__}", what)
    written(monkeypatch, export.main, tmp_path / "padim.pt2", model, "--format=torch")
    assert told == 3 * [
        "the threshold is of scores with execution.bfloat16=true, but now it is false: scores may be off by 1 %, and "
        "alarms with them"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["sum123", "l2"])
def test_leaving_one_out_of_other_layers(
    sort: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["calibration=leave_one_out", f"layers={sort}"]
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={root}", *QUICK, *options)
    assert len(load_module(tmp_path / "padim.ckpt").calibration.scores) == 20


def test_an_unknown_source(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"unknown calibration.source=guess; known are held_out, leave_one_out"):
        run(
            monkeypatch,
            train.main,
            f"output_dir={tmp_path}",
            f"dataset.root={root}",
            *QUICK,
            "calibration.source=guess",
        )
