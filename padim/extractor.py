"""Images in, feature maps out: what every method on a frozen network begins with."""

import math

import torch
from torch import Tensor, nn

from padim.backbone import Backbone
from padim.grids import Grid


class Extractor(nn.Module):
    """Normalisation and a frozen backbone.

    Images are uint8, (B, 3, H, W), of the backbone's image size.

    Args:
        backbone: makes the feature maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(backbone.std)[:, None, None])

    @torch.no_grad()
    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the frozen backbone, (B, C_m, h_m, w_m)."""
        require_images(images, self.backbone.image_size)
        at_once = self.backbone.at_once
        if torch.compiler.is_compiling() or not images.is_cpu or len(images) <= at_once:  # a graph takes any batch
            return self._features(images)
        parts = images.tensor_split(math.ceil(len(images) / at_once))
        return [torch.cat(maps) for maps in zip(*map(self._features, parts), strict=True)]

    def _features(self, images: Tensor) -> list[Tensor]:
        converted = images.to(self.mean.dtype, memory_format=self.backbone.execution.memory_format)
        return self.backbone(converted.sub_(self.mean).div_(self.std))  # in place, in a third of the time


def require_images(images: Tensor, size: Grid) -> None:
    """Raise where these are no images of this height and width."""
    if images.dtype != torch.uint8 or images.shape[1:] != (3, *size):
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; "
            f"allowed is uint8 of shape (B, 3, {size[0]}, {size[1]})"
        )
