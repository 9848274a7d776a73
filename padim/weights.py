"""What a network is filled with: random weights, the hub's, or those of a file."""

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from padim import memory
from padim.untrusted import reason
from padim.untrusted_tensors import read_tensors, require_dense

log = logging.getLogger(__name__)

Weights = dict[str, Tensor]
Build = Callable[..., nn.Module]
"""timm.create_model of one network: draws it, or with ``pretrained=True`` fetches it."""


def held_by_files(network: nn.Module) -> dict[str, bool]:
    """Names of all tensors of the network: whether files hold them. They do not hold what the network computes."""
    state = network.state_dict()
    return {key: key in state for key in _tensors(network)}


def require_memory(name: str, network: nn.Module) -> None:
    """Raise where a network, here without its weights, needs more memory than there is."""
    size = sum(tensor.nbytes for tensor in _tensors(network).values())
    memory.require(f"{name} needs", {"its weights": size}, "take a smaller network, or another machine")


def read_weights(name: str, weights: str, seed: int, build: Build, model: Any) -> Weights:
    """Tensors of the network by name, more than the cut one needs.

    Args:
        weights: ``random``, ``imagenet`` or a path.
        model: the network without its weights, to whose image size a file's position embedding is brought.
    """
    match weights:
        case "random":
            log.warning("The backbone's weights are random: good for a demonstration, not for figures to publish.")
            return _tensors(_draw(build, seed))
        case "imagenet":
            return _download(name, build)
    return _at_image_size(_read_file(Path(weights)), model)


def fill(network: nn.Module, weights: Weights | None, in_file: dict[str, bool], build: Build, source: str) -> None:
    """Put the weights into the cut network.

    Args:
        weights: None is NaN, to be filled from a checkpoint; 0 where a whole number cannot be NaN.
        in_file: see :func:`held_by_files`, of the uncut network.
    """
    # never used in eval mode, and absent from old files
    own = {key: value for key, value in _tensors(network).items() if "num_batches_tracked" not in key}
    constants = {key for key in own if not in_file.get(key)}
    own = {key: value for key, value in own.items() if key not in constants}
    if weights is None:
        nan = {key: torch.nan if value.is_floating_point() else 0 for key, value in own.items()}
        weights = {key: torch.full_like(own[key], value, device="cpu") for key, value in nan.items()}
    _check(weights, own, set(in_file), source)
    if not constants <= set(weights):
        weights = weights | {key: value for key, value in _tensors(_draw(build, seed=0)).items() if key in constants}
    for key in constants:
        module, _, buffer = key.rpartition(".")
        network.get_submodule(module).register_buffer(buffer, weights[key], persistent=False)
    counters = {key: torch.tensor(0) for key in network.state_dict() if key not in own}
    network.load_state_dict({key: weights[key].to(own[key].dtype) for key in own} | counters, assign=True)


def _check(weights: Weights, own: Weights, known: set[str], source: str) -> None:
    wrong = [f"{key} is missing" for key in own if key not in weights]
    wrong += [f"{key} is unknown" for key in weights if key not in known]
    given = {key: (weights[key], value) for key, value in own.items() if key in weights}
    wrong += [
        f"{key} has shape {tuple(found.shape)}, not {tuple(value.shape)}"
        for key, (found, value) in given.items()
        if found.shape != value.shape
    ]
    wrong += [
        f"{key} is {found.dtype}, not {value.dtype}"
        for key, (found, value) in given.items()
        if found.is_floating_point() != value.is_floating_point()
    ]
    if wrong:
        raise ValueError(
            f"{source} belongs to another network: {'; '.join(wrong[:3])} ({len(wrong)} such keys). "
            "Give a file of this network, or the backbone of this file"
        )


def _tensors(network: nn.Module) -> Weights:
    """Parameters and buffers, those included that no file holds, such as Swin's index of relative positions.

    Only a network that is really built has the values of these.
    """
    return network.state_dict() | dict(network.named_buffers())


def _draw(build: Build, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _download(name: str, build: Build) -> Weights:
    try:
        return _tensors(_draw(partial(build, pretrained=True), seed=0))
    except OSError as error:  # what every failure of the connection is
        raise ConnectionError(
            f"cannot fetch the weights of {name} from the hub ({error}). On a machine without network copy the file "
            "there and give its path: backbone.weights=FILE.safetensors or FILE.pth"
        ) from error


def _read_file(path: Path) -> Weights:
    if not path.is_file():
        raise FileNotFoundError(f"backbone.weights={path} is no file; allowed are imagenet, random or a path")
    read: Callable[[Path], Any]
    match path.suffix:
        case ".safetensors":
            read = safetensors.torch.load_file
        case ".pth" | ".pt":
            read = read_tensors
        case suffix:
            raise ValueError(f"backbone.weights={path} ends in {suffix!r}; allowed are .safetensors and .pth")
    try:
        content = read(path)
        if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
            keys = f"the keys {', '.join(map(str, [*content][:5]))}" if isinstance(content, dict) else None
            raise ValueError(f"it holds {keys or type(content).__name__}")
        require_dense(content)
    except (SafetensorError, ValueError) as error:
        said = f"cannot read the weights {path} ({reason(error)}); give the state dict itself, names to tensors"
        raise ValueError(said) from error
    return content


def _at_image_size(weights: Weights, model: Any) -> Weights:
    """A transformer's position embedding, resampled from the square grid of the images it was trained on."""
    weights = {name: value for name, value in weights.items() if name != "mask_token"}  # DINOv2's, for training only
    old, new = weights.get("pos_embed"), getattr(model, "pos_embed", None)
    if old is None or new is None or old.ndim != 3 or new.ndim != 3 or old.shape[2] != new.shape[2]:
        return weights
    prefix = 0 if getattr(model, "no_embed_class", False) else getattr(model, "num_prefix_tokens", 1)
    positions = old.shape[1] - prefix
    if positions < 1 or math.isqrt(positions) ** 2 != positions:
        return weights  # no square: right as it is, or refused for its shape
    grid = list(model.patch_embed.grid_size)
    return weights | {"pos_embed": resample_abs_pos_embed(old, new_size=grid, num_prefix_tokens=prefix)}
