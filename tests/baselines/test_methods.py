"""What holds for every method, and what keeps them apart."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from padim.checkpoint import load_method, load_module, read_checkpoint
from padim.commands import evaluate, export, merge, train, update
from tests.baselines.runs import TINY, trained
from tests.commands.test_run import rows, run


@pytest.fixture(scope="module")
def dn2(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dn2")
    with pytest.MonkeyPatch.context() as monkeypatch:
        trained("dn2", board, folder, monkeypatch, "dataset.calibration_fraction=0.2", "calibration.alpha=0.2")
    return folder


@pytest.mark.slow
def test_an_evaluation_gives_the_scores_of_the_run(dn2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threshold included."""
    run(monkeypatch, evaluate.main, f"checkpoint={dn2 / 'padim.ckpt'}", f"output_dir={tmp_path}")
    ours, theirs = (rows(folder / "predictions.csv") for folder in (tmp_path, dn2))
    assert ours == theirs
    assert {row["alarm"] for row in ours} <= {"0", "1"}


def test_what_only_padim_can_is_refused_to_others(dn2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = str(dn2 / "padim.ckpt")
    image = str(next((dn2.parent).rglob("train/good/*.png"), dn2 / "extremes.png"))
    for main, *arguments in (
        (update.main, checkpoint, "--add", image),
        (merge.main, checkpoint, checkpoint),
        (export.main, checkpoint, "--format", "onnx", "--output", str(tmp_path / "x.onnx")),
    ):
        monkeypatch.setattr(sys, "argv", ["padim", *arguments])
        with pytest.raises(
            (SystemExit, ValueError), match=r"a model of method=dn2; this is done to models of PaDiM alone"
        ):
            main()


def test_leave_one_out_is_refused_before_the_fit(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["method=dn2", "calibration=leave_one_out", f"dataset.root={board}", f"output_dir={tmp_path}", *TINY]
    with pytest.raises(ValueError, match="known for method=padim alone; for the others hold"):
        run(monkeypatch, train.main, *given)
    assert not (tmp_path / "padim.ckpt").exists()


TARGETS = ["os.system", "padim.commands.train.main", "padim.baselines.gallery.Gallery", "padim.baselines.dn2.Method"]
TARGETS += ["padim.baselines.none.None", "padim.baselines.dn2.__loader__", "", "padim.baselines.dn2"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_checkpoint_cannot_name_any_class(dn2: Path, target: Any, tmp_path: Path) -> None:
    torch.save({**read_checkpoint(dn2 / "padim.ckpt"), "target": target}, tmp_path / "padim.ckpt")
    for load in (load_method, load_module):
        with pytest.raises(ValueError, match=r"is of a method that this version of padim does not know"):
            load(tmp_path / "padim.ckpt")


@pytest.mark.slow
def test_padim_imports_no_other_method(board: Path, tmp_path: Path) -> None:
    given = [f"dataset.root={board}", f"output_dir={tmp_path}", "reduction.dim=20", *TINY]
    script = f"""
import sys
from padim.commands import train
sys.argv = ["padim-train", *{given!r}]
train.main()
print([name for name in sys.modules if name.startswith("padim.baselines")])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
