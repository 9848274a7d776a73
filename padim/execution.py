"""How a frozen network computes its feature maps: what changes its speed, and them by rounding alone."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from padim.folding import folded, is_foldable

Forward = Callable[[Tensor], list[Tensor]]
"""From normalised images to feature maps."""


class Execution(NamedTuple):
    """The defaults are the fastest on most processors. Without bfloat16, maps stay within 1e-5 of their norm.

    Attributes:
        channels_last: images in this layout, and the weights of networks whose batch norms can be folded.
        fold_batch_norm: into the convolutions before them, where these are known: of ResNets that end at a stage.
        compile: by torch.compile, which needs a C++ compiler, and 10 to 60 seconds for each kind of batch: of a fit,
            of a test, the last one, which is smaller.
        bfloat16: by torch.autocast: half the time where the processor has instructions for it, several times as long
            where it has none. Feature maps are within 2e-2 of their norm; scores of MVTec AD's bottle within 2e-2, and
            its AUROC and PRO within 1e-3.
    """

    channels_last: bool = True
    fold_batch_norm: bool = True
    compile: bool = False
    bfloat16: bool = False

    @property
    def memory_format(self) -> torch.memory_format:
        """Of the images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def prepared(self, network: nn.Module, indices: list[int] | None) -> Forward:
        """What computes the feature maps of a network in eval mode; the network itself stays as it is.

        Args:
            indices: see :func:`feature_maps`.
        """
        gains = is_foldable(network) and (self.channels_last or self.fold_batch_norm)  # others gained nothing
        runs = self._copy(network) if gains else network
        forward = feature_maps(runs, indices, self.compile)
        return _in_bfloat16(forward) if self.bfloat16 else forward

    def _copy(self, network: nn.Module) -> nn.Module:
        with torch.inference_mode(False), torch.no_grad():  # it outlives whatever mode it is made in
            copy = folded(network) if self.fold_batch_norm else deepcopy(network)
            return copy.to(memory_format=self.memory_format)


def _in_bfloat16(forward: Forward) -> Forward:
    def run(images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, torch.bfloat16):
            return [each.to(images.dtype) for each in forward(images)]

    return run


def feature_maps(network: Any, indices: list[int] | None, compile: bool = False) -> Forward:
    """From images to the feature maps of a cut network (:func:`padim.taps.cut`).

    Args:
        indices: of the feature maps among those that a timm network hands out; None: it is a graph of these alone.
        compile: by torch.compile.
    """
    call = network if indices is None else network.forward_intermediates
    if compile:
        call = torch.compile(call)

    def run(images: Tensor) -> list[Tensor]:
        if indices is None:
            return list(call(images).values())
        maps: list[Tensor] = call(images, indices=indices, intermediates_only=True)
        return maps

    return run
