"""Checkpoints: written whole or not at all, read without running code."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from padim.module import PaDiMModule


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a file beside the target, then renames it.

    Lightning's own serialises into memory first, which takes one more copy of the model.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        with whole(path) as part, part.open("wb") as file:  # not the path, whose name would go into the file
            torch.save(checkpoint, file)


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A file to write, beside the target: renamed to it at the end, or, where something is raised, removed."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of padim, tensors mapped from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of padim.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"checkpoint={path} is no file; padim-train writes OUTPUT_DIR/padim.ckpt")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{path} is not a checkpoint of padim ({str(error).splitlines()[0]})") from error
    if not isinstance(checkpoint, dict) or not {"config", "state_dict", "hyper_parameters"} <= checkpoint.keys():
        raise ValueError(f"{path} is not a checkpoint of padim: it has no config; give the padim.ckpt of padim-train")
    return checkpoint


def load_module(path: str | Path) -> PaDiMModule:
    """A fitted module from its checkpoint; neither the hub nor the weights' file is needed."""
    return restore(read_checkpoint(path), path)


def save_changed(module: PaDiMModule, source: str | Path, path: str | Path) -> None:
    """Write a module whose images have changed; all else is as in the checkpoint that it came from."""
    checkpoint = read_checkpoint(source)
    checkpoint["state_dict"] = module.state_dict()
    module.on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def restore(checkpoint: dict[str, Any], path: str | Path) -> PaDiMModule:
    """The module of the content of a file."""
    try:
        module = PaDiMModule(**checkpoint["hyper_parameters"])
        module.load_state_dict(checkpoint["state_dict"], assign=True)
        module.on_load_checkpoint(checkpoint)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path} does not fit this version of padim ({error}); fit again") from error
    return module.eval()
