"""Tensors out of files that anybody may have written."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from padim.untrusted import reason


def read_tensors(path: str | Path, mmap: bool = False) -> Any:
    """The content of a file of ``torch.save``, on the CPU. Nothing in it is run, and nothing is unpacked.

    Args:
        mmap: the tensors are mapped from the file, and read when they are needed.

    Raises:
        ValueError: it cannot be read; the message is the reason alone.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                    raise ValueError("it is compressed, which torch.save never does: it may grow a thousandfold")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # of a broken file torch raises what its parts happen to raise
        raise ValueError(reason(error)) from error


def require_dense(found: Mapping[Any, Any]) -> None:
    """Raise where a value is no tensor that holds all its numbers: kilobytes may claim to be terabytes.

    Raises:
        ValueError: naming the first.
    """
    for name, given in found.items():
        if type(given) is not Tensor or given.layout != torch.strided or given.device.type == "meta":
            raise ValueError(f"{name} is no dense tensor")
        if given.nbytes > given.untyped_storage().nbytes():
            raise ValueError(f"{name} claims {given.nbytes} bytes and has {given.untyped_storage().nbytes()}")


def require_tensors(found: Any, own: Mapping[str, Tensor]) -> None:
    """Raise where these are not the tensors of a model.

    Args:
        found: of the file, by name.
        own: those of the model that it is loaded into; one without rows takes any number of them.

    Raises:
        ValueError: naming the first that is missing, unknown, not dense, or of another type or shape.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f"its state is {type(found).__name__}, not tensors by name")
    if odd := sorted(map(str, found.keys() ^ own.keys())):
        raise ValueError(f"{len(odd)} tensors are missing or unknown, such as {odd[0]}")
    require_dense(found)
    for name, tensor in own.items():
        given = found[name]
        rows = given.shape[:1] if tensor.shape[:1] == (0,) else tensor.shape[:1]
        if (given.dtype, given.shape) != (tensor.dtype, (*rows, *tensor.shape[1:])):
            raise ValueError(
                f"{name} is {given.dtype} of shape {tuple(given.shape)}, not {tensor.dtype} of {tuple(tensor.shape)}"
            )
