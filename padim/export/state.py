"""Safetensors: numbers, and the configuration as JSON in the header; nothing that could run."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from padim.checkpoint import restore
from padim.export.facts import facts_of, fitting, read_calibration
from padim.export.graph import to_half
from padim.module import PaDiMModule
from padim.untrusted import reason, require_size

KEY, FORMAT = "padim", 1
"""Of the configuration in the header, and its version."""


def without_statistics(module: PaDiMModule) -> PaDiMModule:
    """A module that scores the same, with the same tensors, and cannot be updated."""
    return restore(_content(module, statistics=False), "the module", PaDiMModule)


def save_safetensors(module: PaDiMModule, path: Path, statistics: bool = False, half: bool = False) -> None:
    """Write a fitted module.

    Args:
        statistics: keep the state of the fit, for later updates; twice the size.
        half: store the whitening rows in float16.
    """
    content = _content(module, statistics)
    state: dict[str, Tensor] = content.pop("state_dict")
    if half:
        state = {name: to_half(value) if _is_rows(name) else value for name, value in state.items()}
    header = {"format": FORMAT, "version": version("padim")} | content
    path.touch()
    mode = path.stat().st_mode
    safetensors.torch.save_file(state, path, {KEY: json.dumps(header)})
    path.chmod(mode)  # safetensors lets nobody else read it


def load_safetensors(path: Path) -> PaDiMModule:
    """A fitted module from a file that anybody may have written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model of padim.
    """
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or not all of it ({reason(error)})") from error
    if text is None:
        raise ValueError(f"{path} holds no model of padim, which has its configuration in the header; see padim-export")
    content = _read_header(text, path)
    content["state_dict"] = {
        name: _aligned(value.float() if _is_rows(name) else value) for name, value in state.items()
    }
    module = restore(content, path, PaDiMModule)
    with fitting(path):
        facts_of(module)
    return module


def require_file(path: Path) -> None:
    """Raise where there is no such file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; padim-export writes one")


def _content(module: PaDiMModule, statistics: bool) -> dict[str, Any]:
    """What a checkpoint holds."""
    parameters = dict(cast(Mapping[str, Any], module.hparams))
    if statistics and not parameters["save_state"]:
        raise ValueError("this model has no statistics to keep: it was fitted with model.save_state=false")
    state = module.state_dict()
    kept = {name: state[name].contiguous() for name in state if statistics or ".statistics.levels." not in name}
    content = {"hyper_parameters": parameters | {"save_state": statistics}, "state_dict": kept}
    module.on_save_checkpoint(content)
    return content


def _aligned(value: Tensor) -> Tensor:
    """Beginning where torch lets its own begin: elsewhere BLAS may take another way, to other last digits."""
    return value if value.data_ptr() % 64 == 0 else value.clone()


def _is_rows(name: str) -> bool:
    return name.endswith(".whitening")


def _read_header(text: str, path: Path) -> dict[str, Any]:
    with fitting(path):
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise ValueError(f"it is of format {header['format']}, known is {FORMAT}")
        parameters = header["hyper_parameters"]
        require_size(parameters["image_size"], "image_size")
        parameters["backbone"] = {**parameters["backbone"], "weights": None}  # no file of somebody else's choice
        read_calibration(header["calibration"])
        return {**header}
