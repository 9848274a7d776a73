"""A frozen timm network, cut after its last tap: images -> feature maps."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from typing import Any

import timm
import torch
from timm.layers import to_2tuple
from timm.models import PretrainedCfg
from torch import Tensor, nn

from padim.activations import images_at_once, output_bytes
from padim.execution import Execution, Forward, feature_maps
from padim.grids import Grid
from padim.taps import cut, tap_names
from padim.weights import fill, held_by_files, read_weights, require_memory


class Backbone(nn.Module):
    """Feature maps of a timm network whose parameters never change.

    Args:
        name: of a timm architecture.
        stages: which feature maps, in the network's order. Without ``taps``, stage k is the last map of stride 2^(k+1):
            1, 2, 3 are strides 4, 8, 16. With them, stage k is ``taps[k - 1]``. Any module goes by its own name, too.
        image_size: height and width of the images.
        weights: ``imagenet`` (the pretrained tag below, from the hub), ``random``, the path of a .safetensors or .pth
            file, or None: NaN, to be filled from a checkpoint.
        tag: of the pretrained weights.
        taps: names of the network's modules, where the stages are not what is wanted.
        seed: of random weights, which depend on nothing else (a transformer's on the image size as well).

    Attributes:
        taps: name of the module that each feature map comes from.
        channels: of each feature map.
        grids: height and width of each feature map.
        at_once: images that a CPU takes through the network together without getting memory anew each time.
        mean, std: of the images that the network was trained on, in [0, 1].
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[int | str],
        image_size: Grid,
        weights: str | None = "random",
        tag: str | None = None,
        taps: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._execution = Execution()
        self._forward: Forward | None = None  # no part of the state: made when the network first runs
        self.register_load_state_dict_post_hook(Backbone._forget)  # type: ignore[no-untyped-call]
        tagged = f"{name}.{tag}" if tag else name
        options: dict[str, Any] = {"img_size": image_size} if _configuration(name, tag).fixed_input_size else {}
        build = partial(timm.create_model, tagged, **options)
        with torch.device("meta"), _explained(tagged, image_size, native_size(name, tag)):
            model = build().eval()
            require_memory(tagged, model)
            _check_patches(model, image_size)
            trained_on, in_file = timm.data.resolve_model_data_config(model), held_by_files(model)
            self.taps = tap_names(model, stages, taps)
            self.network, self.indices = cut(model, self.taps)
            with output_bytes(self.network) as sizes:
                maps = self(torch.empty(1, 3, *image_size))
        self.at_once = images_at_once(sizes)
        self.channels, self.grids = _shapes(maps, self.taps, image_size, traced=self.indices is None)
        self.image_size = image_size
        self.mean, self.std = trained_on["mean"], trained_on["std"]
        given = None if weights is None else read_weights(tagged, weights, seed, build, model)
        fill(self.network, given, in_file, build, f"weights={weights}")
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps (B, C_m, h_m, w_m) of normalised images (B, 3, H, W)."""
        if images.is_meta or torch.compiler.is_compiling():  # a graph's runtime does what Execution does
            return feature_maps(self.network, self.indices)(images)
        if self._forward is None:
            self._forward = self.execution.prepared(self.network, self.indices)
        return self._forward(images)

    @property
    def execution(self) -> Execution:
        """How the network computes; set it at any time."""
        return self._execution

    @execution.setter
    def execution(self, execution: Execution) -> None:
        self._execution = execution
        self._forget()

    def _forget(self, *_: object) -> None:
        self._forward = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles run by their own network."""
        return self.__dict__ | {"_forward": None}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Backbone":
        """To another device or type. A trainer moves what is there already, too: that changes nothing."""
        before = self._addresses()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self._addresses() != before:
            self._forget()
        return self

    def _addresses(self) -> list[int]:
        return [tensor.data_ptr() for tensor in self.state_dict().values()]

    def train(self, mode: bool = True) -> "Backbone":
        """Frozen means frozen: batch norm keeps its running statistics whatever the trainer asks for."""
        return super().train(False)


def native_size(name: str, tag: str | None = None) -> Grid:
    """Height and width of the images that the network was trained on; needs no network and no weights."""
    _, height, width = _configuration(name, tag).input_size
    return height, width


def _configuration(name: str, tag: str | None) -> PretrainedCfg:
    """What timm says of the pretrained weights."""
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=4)
        hint = f"close are {', '.join(close)}" if close else "timm.list_models('*resnet*') lists some that it has"
        raise ValueError(f"timm has no network {name!r}; {hint}")
    try:
        return timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name) or PretrainedCfg()
    except RuntimeError:
        known = [weights.partition(".")[2] for weights in timm.list_pretrained(name)]
        raise ValueError(
            f"timm has no weights {tag!r} of {name}; backbone.tag may be {', '.join([*known[:8], 'null'])}"
        ) from None


@contextmanager
def _explained(name: str, size: Grid, native: Grid) -> Iterator[None]:
    """What a network says of images that it cannot take, with what it can."""
    try:
        yield
    except (AssertionError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name} cannot take images of {size[0]}x{size[1]} pixels ({error}); "
            f"it was trained on dataset.image_size=[{native[0]},{native[1]}]"
        ) from error


def _check_patches(model: nn.Module, size: Grid) -> None:
    patch = to_2tuple(getattr(getattr(model, "patch_embed", None), "patch_size", 1))
    if any(side % step for side, step in zip(size, patch, strict=True)):
        below = [max(side // step, 1) * step for side, step in zip(size, patch, strict=True)]
        above = [-(-side // step) * step for side, step in zip(size, patch, strict=True)]
        raise ValueError(
            f"image_size={list(size)} does not divide into the network's patches of {patch[0]}x{patch[1]}; "
            f"allowed are their multiples, such as {below} and {above}"
        )


def _shapes(maps: list[Tensor], taps: list[str], size: Grid, traced: bool) -> tuple[list[int], list[Grid]]:
    """Channels and grids of the feature maps."""
    for feature, tap in zip(maps, taps, strict=True):
        if feature.ndim != 4 or (traced and not _has_one_stride(feature, size)):
            raise ValueError(
                f"{tap} gives a tensor of shape {tuple(feature.shape)}, no feature map (B, C, h, w) of "
                f"{size[0]}x{size[1]} pixels; tap a block or a convolution, or give stages by number"
            )
    return [feature.shape[1] for feature in maps], [(feature.shape[2], feature.shape[3]) for feature in maps]


def _has_one_stride(feature: Tensor, size: Grid) -> bool:
    """Whether both axes have the same stride, but for rounding. They have not where the channels come last."""
    cells = list(zip(size, feature.shape[2:], strict=True))
    return max(side / (n + 1) for side, n in cells) < min(side / (n - 1) if n > 1 else math.inf for side, n in cells)
