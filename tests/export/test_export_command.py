"""padim-export as a user types it."""

import sys
from pathlib import Path

import pytest
import torch

from padim.checkpoint import load_module, read_checkpoint
from padim.commands import export
from padim.export.comparison import compare
from padim.export.predictor import ModulePredictor, load_predictor
from padim.export.state import load_safetensors
from tests.export.models import R18, SMALL, fitted, save


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(fitted(**SMALL), tmp_path_factory.mktemp("run") / "padim.ckpt")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["padim-export", *map(str, arguments)])
    export.main()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(
            ["--format=onnx", "--preprocessing", "--half"],
            ["images", "raw images", "float16"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["--format=torch"], ["images"], marks=pytest.mark.slow),
        (["--format=safetensors", "--half"], ["images", "float16"]),
    ],
    ids=["onnx", "torch", "safetensors"],
)
def test_it_writes_runs_and_compares(
    checkpoint: Path,
    options: list[str],
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    suffix = export.SUFFIXES[options[0].partition("=")[2]]
    output = tmp_path / "new" / f"model{suffix}"
    run(monkeypatch, checkpoint, *options, f"--output={output}")
    lines = {line[:14].strip(): line[16:] for line in capsys.readouterr().out.splitlines()}
    assert [name for name, value in lines.items() if value.startswith("off by")] == told
    assert lines["written to"] == str(output)
    assert "MB, of the checkpoint" in lines["size"]
    assert list(output.parent.iterdir()) == [output]
    if suffix != ".pt2":
        assert compare(load_predictor(output), ModulePredictor(load_module(checkpoint))).within(1e-3)


def test_beside_the_checkpoint_with_its_statistics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = save(fitted(**R18), tmp_path / "padim.ckpt")
    run(monkeypatch, path, "--format=safetensors", "--statistics")
    ours, theirs = load_safetensors(tmp_path / "padim.safetensors").state_dict(), read_checkpoint(path)["state_dict"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_a_file_that_scores_otherwise_is_not_kept(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = fitted(**SMALL)
    module.model.head.levels[0].bias[0] = torch.nan  # which is like nothing, itself included
    path, output = save(module, tmp_path / "padim.ckpt"), tmp_path / f"out{export.SUFFIXES[kind]}"
    output.write_text("what was there before")
    with pytest.raises(SystemExit, match=r"off by nan of the score .* allowed is 1e-04"):
        run(monkeypatch, path, f"--format={kind}", f"--output={output}")
    assert output.read_text() == "what was there before"
    assert {one.name for one in tmp_path.iterdir()} == {"padim.ckpt", output.name}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format=safetensors", "--preprocessing"], "--preprocessing is for onnx and torch"),
        (["--format=onnx", "--statistics"], "--statistics is for safetensors"),
        (["--format=onnx", "--output=model.pt"], "ends in '.pt'; onnx in '.onnx'"),
        (["--format=coreml"], "invalid choice"),
        ([], "--format"),
    ],
)
def test_options_that_do_not_go_together(
    checkpoint: Path,
    options: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, checkpoint, *options)
    assert message in capsys.readouterr().err


def test_what_is_no_checkpoint_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"padim-export: checkpoint=.*none\.ckpt is no file"):
        run(monkeypatch, tmp_path / "none.ckpt", "--format=onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_that_is_not_fitted_is_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = load_module(checkpoint)
    module.model.head.fitted.fill_(0)
    path = save(module, tmp_path / "padim.ckpt")
    with pytest.raises(SystemExit, match="the model is not fitted"):
        run(monkeypatch, path, "--format=onnx")
    assert list(tmp_path.iterdir()) == [path]
