"""Checkpoints: written whole or not at all, read without running code."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import pytorch_lightning
import torch
from lightning_fabric.plugins import TorchCheckpointIO

from padim.method import Method
from padim.module import PaDiMModule
from padim.untrusted import reason, require_plain, require_size
from padim.untrusted_tensors import read_tensors, require_tensors
from padim.writing import whole

M = TypeVar("M", bound=Method)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a file beside the target, then renames it.

    Lightning's own serialises into memory first, which takes one more copy of the model.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        with whole(path) as part, part.open("wb") as file:  # not the path, whose name would go into the file
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # with which torch covers what a full disk has raised
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of padim, tensors mapped from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of padim.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"checkpoint={path} is no file; padim-train writes OUTPUT_DIR/padim.ckpt")
    try:
        checkpoint = read_tensors(path, mmap=True)
        require_plain(checkpoint)
    except ValueError as error:
        raise ValueError(f"{path} is not a checkpoint of padim ({error})") from error
    if not isinstance(checkpoint, dict) or not {"config", "state_dict", "hyper_parameters"} <= checkpoint.keys():
        raise ValueError(f"{path} is not a checkpoint of padim: it has no config; give the padim.ckpt of padim-train")
    return checkpoint


def load_method(path: str | Path) -> Method:
    """A fitted module of whatever method from its checkpoint; neither the hub nor the weights' file is needed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a checkpoint of this version of padim.
    """
    checkpoint = read_checkpoint(path)
    return restore(checkpoint, path, _class_of(checkpoint, path))


def load_module(path: str | Path) -> PaDiMModule:
    """Of PaDiM alone; raises as :func:`load_method` does."""
    checkpoint = read_checkpoint(path)
    found = _class_of(checkpoint, path)
    if found is not PaDiMModule:
        raise ValueError(f"{path} is a model of method={found.name}; this is done to models of PaDiM alone")
    return restore(checkpoint, path, PaDiMModule)


def save_changed(module: PaDiMModule, path: str | Path) -> None:
    """Write a module whose images have changed, as Lightning does."""
    checkpoint = {
        "pytorch-lightning_version": pytorch_lightning.__version__,
        "state_dict": module.state_dict(),
        "hparams_name": "kwargs",
        "hyper_parameters": dict(cast(Mapping[str, Any], module.hparams)),
    }
    module.on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def restore(checkpoint: dict[str, Any], path: str | Path, of: type[M]) -> M:
    """The module of the content of a file."""
    try:
        parameters = checkpoint["hyper_parameters"]
        require_size(parameters["image_size"], "image_size")
        if "backbone" in parameters:
            parameters = parameters | {"backbone": {**parameters["backbone"], "weights": None}}  # no file of its choice
        module = of(**parameters)
        require_tensors(checkpoint["state_dict"], module.state_dict())
        module.load_state_dict(checkpoint["state_dict"], assign=True)
        module.on_load_checkpoint(checkpoint)
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not fit this version of padim ({reason(error)}); fit again") from error
    return module.eval()


def _class_of(checkpoint: dict[str, Any], path: str | Path) -> type[Method]:
    """The method that a file names, if it is one of padim's own: a file can name anything."""
    target = str(checkpoint.get("target", "padim.module.PaDiMModule"))
    if match := re.fullmatch(r"(padim\.module|padim\.baselines\.\w+)\.(\w+)", target):
        try:
            found = getattr(import_module(match[1]), match[2], None)
        except ModuleNotFoundError:
            found = None
        if isinstance(found, type) and issubclass(found, Method) and found.__module__ == match[1]:
            return found
    raise ValueError(f"{path} is of a method that this version of padim does not know: {target[:80]}")
