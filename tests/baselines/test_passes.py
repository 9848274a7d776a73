"""What is taken from the training images before or after the training: the same bits, interrupted or not."""

import shutil
from pathlib import Path

import pytest

from padim.baselines.deep_svdd import DeepSVDD
from padim.checkpoint import read_checkpoint
from padim.commands import train
from tests.baselines.runs import TINY
from tests.bits import same_bits
from tests.commands.test_run import run
from tests.test_trained import StoppedError, interrupt

EPOCHS, STEPS = 2, 3
PATCHES = ["dataset.resize=[128,128]", "dataset.image_size=[112,112]", "model.pairs=1", "model.strides=[32,16]"]
METHODS = {"deep_svdd": ["model.centre"], "patch_svdd": ["model.mean", "model.galleries.0.rows"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["deep_svdd", "patch_svdd"])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    method: str, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its last epoch; the other one, of the same seed, in one go."""
    given = [f"method={method}", f"dataset.root={board}", *TINY, f"trainer.max_epochs={EPOCHS}", "save_every=1"]
    given += PATCHES if method == "patch_svdd" else []
    with monkeypatch.context() as interrupted:
        interrupt(interrupted, STEPS + 1)
        with pytest.raises(StoppedError):
            run(interrupted, train.main, f"output_dir={tmp_path / 'resumed'}", *given)
    assert (tmp_path / "resumed" / "progress" / "epoch.ckpt").is_file()
    for name in ("resumed", "whole"):
        run(monkeypatch, train.main, f"output_dir={tmp_path / name}", *given)
    assert same_bits(tmp_path / "resumed", tmp_path / "whole")
    state = read_checkpoint(tmp_path / "whole" / "padim.ckpt")["state_dict"]
    for name in METHODS[method]:
        assert len(state[name])
        assert state[name].isfinite().all()


@pytest.mark.parametrize(("limit", "batches"), [("2", 2), ("0.7", 2)])
def test_a_pass_is_as_long_as_an_epoch(
    limit: str, batches: int, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that trainer=debug is over soon."""
    seen: list[int] = []
    monkeypatch.setattr(DeepSVDD, "place_centre", lambda model, images: seen.extend(map(len, images)))
    monkeypatch.setattr(DeepSVDD, "loss", lambda *_: raise_stopped())
    given = ["method=deep_svdd", f"dataset.root={board}", f"output_dir={tmp_path}", *TINY]
    with pytest.raises(StoppedError):
        run(monkeypatch, train.main, *given, f"trainer.limit_train_batches={limit}")
    assert seen == [8] * batches


def raise_stopped() -> None:
    raise StoppedError


def test_without_an_image_it_says_so(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as when none can be read."""
    good = next(board.rglob("train/good"))
    broken = tmp_path / "data" / good.parents[1].relative_to(board)
    shutil.copytree(good.parents[1], broken)
    for path in (broken / "train" / "good").iterdir():
        path.write_bytes(b"")
    given = ["method=deep_svdd", f"dataset.root={tmp_path / 'data'}", f"output_dir={tmp_path / 'run'}", *TINY]
    with pytest.raises(ValueError, match="method=deep_svdd was given no image to train on"):
        run(monkeypatch, train.main, *given, "dataset.on_error=skip")
