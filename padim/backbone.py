"""A frozen timm network, cut after its last tap: images -> feature maps."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from timm.layers import create_feature_extractor
from torch import Tensor, nn

from padim.grids import Grid

log = logging.getLogger(__name__)


class Backbone(nn.Module):
    """Feature maps of a timm network whose parameters never change.

    Args:
        name: of a timm architecture.
        stages: which feature maps, fine to coarse. Without ``taps``, stage k is the last map of stride 2^(k+1):
            1, 2, 3 are strides 4, 8, 16. With them, stage k is ``taps[k - 1]``.
        image_size: height and width of the images.
        weights: ``imagenet`` (the pretrained tag below, from the hub), ``random``, the path of a .safetensors or .pth
            file, or None: NaN, to be filled from a checkpoint.
        tag: of the pretrained weights.
        taps: names of the network's modules, where the stages are not what is wanted.
        seed: of random weights, which depend on nothing else.

    Attributes:
        taps: name of the module that each feature map comes from.
        channels: of each feature map.
        grids: height and width of each feature map.
        mean, std: of the images that the network was trained on, in [0, 1].
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[int],
        image_size: Grid,
        weights: str | None = "random",
        tag: str | None = None,
        taps: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"timm has no network {name!r}; timm.list_models('*resnet*') lists some that it has")
        tagged = f"{name}.{tag}" if tag else name
        with torch.device("meta"):
            model = timm.create_model(tagged).eval()
            self.taps = _tap_names(model, stages, taps)
            self.network = create_feature_extractor(model, self.taps)
            maps = self.network(torch.empty(1, 3, *image_size)).values()
        self.channels = [feature.shape[1] for feature in maps]
        self.grids: list[Grid] = [(feature.shape[2], feature.shape[3]) for feature in maps]
        self.image_size = image_size
        trained_on = timm.data.resolve_model_data_config(model)
        self.mean, self.std = trained_on["mean"], trained_on["std"]
        self._fill(_read_weights(tagged, weights, seed), set(model.state_dict()), f"weights={weights}")
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps (B, C_m, h_m, w_m) of normalised images (B, 3, H, W)."""
        return list(self.network(images).values())

    def train(self, mode: bool = True) -> "Backbone":
        """Frozen means frozen: batch norm keeps its running statistics whatever the trainer asks for."""
        return super().train(False)

    def _fill(self, weights: dict[str, Tensor] | None, of_model: set[str], source: str) -> None:
        # never used in eval mode, and absent from old files
        own = {key: value for key, value in self.network.state_dict().items() if "num_batches_tracked" not in key}
        if weights is None:
            weights = {key: torch.full(value.shape, torch.nan, dtype=value.dtype) for key, value in own.items()}
        wrong = [f"{key} is missing" for key in own if key not in weights]
        wrong += [f"{key} is unknown" for key in weights if key not in of_model]
        wrong += [
            f"{key} has shape {tuple(weights[key].shape)}, not {tuple(own[key].shape)}"
            for key in own
            if key in weights and weights[key].shape != own[key].shape
        ]
        if wrong:
            raise ValueError(
                f"{source} belongs to another network: {'; '.join(wrong[:3])} ({len(wrong)} such keys). "
                "Give a file of this network, or the backbone of this file"
            )
        counters = {k: torch.tensor(0) for k in self.network.state_dict() if k not in own}
        self.network.load_state_dict({key: weights[key] for key in own} | counters, assign=True)


def _tap_names(model: nn.Module, stages: Sequence[int], taps: Sequence[str] | None) -> list[str]:
    """Names of the modules whose output is tapped, in the order of the stages."""
    if taps is None:
        maps = cast(Any, model).feature_info
        of_stage = {info["reduction"].bit_length() - 2: info["module"] for info in maps}
    else:
        of_stage = dict(enumerate(taps, 1))
    of_stage = {stage: name for stage, name in of_stage.items() if stage > 0}
    if not stages or list(stages) != sorted(set(stages)) or not set(stages) <= set(of_stage):
        known = ", ".join(f"{stage} ({name})" for stage, name in of_stage.items())
        raise ValueError(f"layers {list(stages)} are not ascending stages of this network; it has {known}")
    return [of_stage[stage] for stage in stages]


def _read_weights(name: str, weights: str | None, seed: int) -> dict[str, Tensor] | None:
    match weights:
        case None:
            return None
        case "random":
            log.warning("The backbone's weights are random: good for a demonstration, not for figures to publish.")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return timm.create_model(name).state_dict()
        case "imagenet":
            return _download(name)
    return _read_file(Path(weights))


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"backbone.weights={path} is no file; allowed are imagenet, random or a path")
    read: Callable[[Path], dict[str, Tensor]]
    match path.suffix:
        case ".safetensors":
            read = safetensors.torch.load_file
        case ".pth" | ".pt":
            read = partial(torch.load, map_location="cpu", weights_only=True)
        case suffix:
            raise ValueError(f"backbone.weights={path} ends in {suffix!r}; allowed are .safetensors and .pth")
    try:
        content = read(path)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot read the weights {path} ({reason}); give a state dict, saved whole") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        found = f"the keys {', '.join(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} holds {found}; it must be the state dict itself, names to tensors")
    return content


def _download(name: str) -> dict[str, Tensor]:
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except OSError as error:  # what every failure of the connection is
        raise ConnectionError(
            f"cannot fetch the weights of {name} from the hub ({error}). On a machine without network copy the file "
            "there and give its path: backbone.weights=FILE.safetensors or FILE.pth"
        ) from error
