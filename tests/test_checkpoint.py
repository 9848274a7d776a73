"""Checkpoints are written whole or not at all, and run nothing."""

from pathlib import Path

import pytest
import torch

from padim.checkpoint import AtomicCheckpointIO, read_checkpoint

CONTENT = {"config": {}, "state_dict": {"x": torch.arange(5)}, "hyper_parameters": {}}


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "padim.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["x"], torch.arange(5))
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "padim.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    with pytest.raises(AttributeError, match="pickle"):
        AtomicCheckpointIO().save_checkpoint(CONTENT | {"config": lambda: None}, path)
    assert read_checkpoint(path)["config"] == {}
    assert list(tmp_path.iterdir()) == [path]


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    torch.save(CONTENT | {"config": Payload()}, tmp_path / "padim.ckpt")
    with pytest.raises(ValueError, match="is not a checkpoint of padim"):
        read_checkpoint(tmp_path / "padim.ckpt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kept", [0, 10, 500])
def test_a_truncated_checkpoint(tmp_path: Path, kept: int) -> None:
    torch.save(CONTENT, tmp_path / "padim.ckpt")
    (tmp_path / "padim.ckpt").write_bytes((tmp_path / "padim.ckpt").read_bytes()[:kept])
    with pytest.raises(ValueError, match="is not a checkpoint of padim"):
        read_checkpoint(tmp_path / "padim.ckpt")
