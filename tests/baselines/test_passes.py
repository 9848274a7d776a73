"""What is taken from the training images before or after the training: the same bits, interrupted or not."""

from pathlib import Path

import pytest

from padim.checkpoint import read_checkpoint
from padim.commands import train
from tests.baselines.runs import TINY
from tests.commands.test_run import run
from tests.test_trained import StoppedError, interrupt, same_bits

EPOCHS, STEPS = 2, 3
PATCHES = ["dataset.resize=[128,128]", "dataset.image_size=[112,112]", "model.pairs=1", "model.strides=[32,16]"]
METHODS = {"deep_svdd": ["model.centre"], "patch_svdd": ["model.mean", "model.galleries.0.rows"]}


@pytest.mark.parametrize("method", ["deep_svdd", pytest.param("patch_svdd", marks=pytest.mark.slow)])
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
