"""DN2: the distance of an image to its nearest training images (Bergman et al. 2020, arXiv 2002.10445)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from padim.backbone import Backbone
from padim.baselines.gallery import Gallery
from padim.extractor import Extractor
from padim.method import Method
from padim.one_epoch import OneEpochModule
from padim.precision import require_finite
from padim.scoring import Prediction


class DN2(Extractor):
    """Globally pooled features f of whole images, and the mean squared distance to the k nearest training images.

    score(y) = 1/k sum of |f(x) - f(y)|^2 over the k nearest x (section 3). It does not localise. The authors did not
    test it on MVTec AD; SPADE's first stage, which is this with Wide-ResNet50 and k = 50, has an image AUROC of 0.855.

    Args:
        backbone: makes the feature maps, whose pooled channels are put one after the other.
        neighbours: k; of fewer training images all are taken.
    """

    def __init__(self, backbone: Backbone, neighbours: int) -> None:
        super().__init__(backbone)
        if neighbours < 1:
            raise ValueError(f"model.neighbours={neighbours}; it must be 1 or more")
        self.neighbours, self.gallery = neighbours, Gallery(sum(backbone.channels))

    def forward(self, images: Tensor) -> Prediction:
        squared, _ = self.gallery.nearest(pooled(self.features(images)), self.neighbours)
        score = squared.mean(1)
        return Prediction(score, score[:, None, None].expand(-1, *self.backbone.image_size))

    def update(self, images: Tensor) -> None:
        embeddings = pooled(self.features(images))
        require_finite([embeddings[None]])
        self.gallery.add(embeddings)

    def merge_ranks(self) -> None:
        self.gallery.merge_ranks()

    def finalise(self) -> None:
        self.gallery.finalise()


def pooled(features: Sequence[Tensor]) -> Float[Tensor, "B C"]:
    """The mean over the positions of each map, (B, C_m, h_m, w_m), one map after the other."""
    return torch.cat([feature.float().mean((2, 3)) for feature in features], 1)


class DN2Module(OneEpochModule, Method):
    """DN2 as a LightningModule.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature maps; one, the last, in the paper.
        image_size: height and width of the images.
        neighbours: see :class:`DN2`.
    """

    name, localises, peak = "dn2", False, False
    model: DN2

    def __init__(
        self, backbone: dict[str, Any], layers: dict[str, Any], image_size: list[int], neighbours: int = 2
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        height, width = image_size
        self.model = DN2(Backbone(**backbone, stages=layers["stages"], image_size=(height, width)), neighbours)

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)
