"""PaDiM: normalisation, backbone, head."""

from typing import Any

import torch
from torch import Tensor, nn

from padim.backbone import Backbone
from padim.grids import Grid
from padim.head import Head
from padim.heads import Heads, LayerSum
from padim.statistics import Statistics


class PaDiM(nn.Module):
    """Images in, anomaly scores out.

    Images are uint8, (B, 3, H, W), of the backbone's image size. Fit with :meth:`update` on batches of normal images
    and :meth:`finalise`; then call.

    Args:
        backbone: makes the feature maps.
        head: scores them: with a :class:`padim.head.Prediction`, or, of several heads, one for each name.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, head: Head | LayerSum | Heads) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(backbone.std)[:, None, None])

    @property
    def statistics(self) -> list[Statistics]:
        """The state of the fit; heads may share it."""
        return [module for module in self.modules() if isinstance(module, Statistics)]

    def forward(self, images: Tensor) -> Any:
        return self.head(self.features(images))

    @torch.no_grad()
    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the frozen backbone, (B, C_m, h_m, w_m)."""
        require_images(images, self.backbone.image_size)
        normalised = (images.to(memory_format=torch.channels_last) - self.mean) / self.std
        return self.backbone(normalised)

    def update(self, images: Tensor) -> None:
        """Add a batch of normal images to the statistics."""
        self.head.update(self.features(images))

    def remove(self, images: Tensor) -> None:
        """Take images that went in out again."""
        self.head.remove(self.features(images))

    def merge(self, other: "PaDiM") -> None:
        """Add the statistics of another model, of other images and with the same backbone."""
        if type(self.head) is not type(other.head):
            raise TypeError(f"cannot merge a {type(other.head).__name__} into a {type(self.head).__name__}")
        ours, theirs = self.backbone.state_dict(), other.backbone.state_dict()
        if ours.keys() != theirs.keys() or not all(torch.equal(ours[name], theirs[name]) for name in ours):
            raise ValueError("cannot merge statistics of other networks or weights; fit both with one backbone")
        self.head.merge(other.head)  # type: ignore[arg-type]

    def finalise(self) -> None:
        """Turn the statistics into a fitted model."""
        self.head.finalise()


def require_images(images: Tensor, size: Grid) -> None:
    """Raise where these are no images of this height and width."""
    if images.dtype != torch.uint8 or images.shape[1:] != (3, *size):
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; "
            f"allowed is uint8 of shape (B, 3, {size[0]}, {size[1]})"
        )
