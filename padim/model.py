"""PaDiM: normalisation, backbone, head."""

from typing import Any

import torch
from torch import Tensor

from padim.backbone import Backbone
from padim.extractor import Extractor
from padim.head import Head
from padim.heads import Heads, LayerSum
from padim.processes import merge_ranks
from padim.statistics import Statistics


class PaDiM(Extractor):
    """Images in, anomaly scores out.

    Images are uint8, (B, 3, H, W), of the backbone's image size. Fit with :meth:`update` on batches of normal images
    and :meth:`finalise`; then call.

    Args:
        backbone: makes the feature maps.
        head: scores them: with a :class:`padim.scoring.Prediction`, or, of several heads, one for each name.
    """

    def __init__(self, backbone: Backbone, head: Head | LayerSum | Heads) -> None:
        super().__init__(backbone)
        self.head = head

    @property
    def statistics(self) -> list[Statistics]:
        """The state of the fit; heads may share it."""
        return [module for module in self.modules() if isinstance(module, Statistics)]

    def forward(self, images: Tensor) -> Any:
        return self.head(self.features(images))

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

    def merge_ranks(self) -> None:
        """Give every process the statistics of the images of all."""
        merge_ranks(self.statistics)

    def finalise(self) -> None:
        """Turn the statistics into a fitted model."""
        self.head.finalise()
