"""PatchCore: the distance of each patch to the nearest of a coreset (Roth et al. 2021, arXiv 2106.08265)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from padim.backbone import Backbone
from padim.baselines.coreset import Coreset
from padim.baselines.gallery import Gallery
from padim.extractor import Extractor
from padim.method import Method
from padim.one_epoch import OneEpochModule
from padim.precision import full_precision, require_finite
from padim.scoring import Prediction, anomaly_map, smoothing_matrix


class PatchCore(Extractor):
    """Locally aware patch features, a coreset of those of the training images, and distances to it.

    The distance of a patch x is |x - m(x)|, m(x) the nearest patch of the memory. The anomaly map is these distances,
    up-sampled and smoothed. The score of an image is the distance of its farthest patch x, smaller where m(x) lies in a
    dense part of the memory (equation 7, with N_b the b patches of the memory nearest to m(x), itself included):

        s = (1 - exp|x - m(x)| / sum over m in N_b of exp|x - m|) |x - m(x)|

    The authors' figures on MVTec AD, with Wide-ResNet50 and a coreset of 10 %, are an image AUROC of 0.990, a pixel
    AUROC of 0.981 and a PRO of 0.935 (tables 1 to 3). Their paper does not say what b is; 9 is that of the usual
    re-implementations. Their code, unlike their paper, squares the distances, weighs no score, and shortens the
    features, see :func:`locally_aware`.

    The fit holds the patches of all images, h w D numbers each and, for a moment, twice.

    Args:
        backbone: makes the feature maps.
        coreset: of the patches.
        neighbours: b; with 1 the score is the distance itself.
        sigma, interpolation: of the anomaly map, see :func:`padim.scoring.smoothing_matrix`.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self, backbone: Backbone, coreset: Coreset, neighbours: int, sigma: float = 4.0, interpolation: str = "bilinear"
    ) -> None:
        super().__init__(backbone)
        if neighbours < 1:
            raise ValueError(f"model.neighbours={neighbours}; it must be 1 (no weight) or more, 9 for instance")
        self.coreset, self.neighbours = coreset, neighbours
        self.memory, self.grid = Gallery(sum(backbone.channels)), max(backbone.grids)
        for name, size, grid in zip(("rows", "columns"), backbone.image_size, self.grid, strict=True):
            matrix = smoothing_matrix(size, grid, sigma, interpolation)
            self.register_buffer(name, matrix.float(), persistent=False)

    def forward(self, images: Tensor) -> Prediction:
        features = self.features(images)
        with full_precision(images.device):
            return self._scored(locally_aware(features))

    def _scored(self, patches: Float[Tensor, "B P D"]) -> Prediction:
        squared, nearest = (found.view(patches.shape[:2]) for found in self.memory.nearest(patches.flatten(0, 1), 1))
        distances = squared.sqrt()  # (B, P)
        farthest, image = distances.argmax(1), torch.arange(len(patches), device=patches.device)
        score = distances[image, farthest]
        if self.neighbours > 1:
            score = score * self._weight(patches[image, farthest], self.memory.rows[nearest[image, farthest]])
        return Prediction(score, anomaly_map(distances.unflatten(1, self.grid), self.rows, self.columns))

    def _weight(self, patches: Float[Tensor, "B D"], nearest: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Of the distance of a patch, given the nearest patch of the memory."""
        _, around = self.memory.nearest(nearest, self.neighbours)
        distances = (patches[:, None] - self.memory.rows[around]).norm(dim=2)  # (B, b)
        own = (patches - nearest).norm(dim=1)
        return 1 - (own - distances.logsumexp(1)).exp()

    def update(self, images: Tensor) -> None:
        patches = locally_aware(self.features(images))
        require_finite([patches.transpose(0, 1)])
        self.memory.add(patches.flatten(0, 1))

    def merge_ranks(self) -> None:
        self.memory.merge_ranks()

    def finalise(self) -> None:
        """Keep the coreset.

        Raises:
            ValueError: it has not as many patches as a score looks at.
        """
        self.memory.finalise()
        patches = self.memory.rows
        chosen = self.coreset.choose(patches)
        if len(chosen) < self.neighbours:
            raise ValueError(
                f"the coreset is {len(chosen)} of {len(patches)} patches, fewer than model.neighbours={self.neighbours}"
                "; raise coreset.fraction, or give more images"
            )
        self.memory.rows = patches[chosen]


def locally_aware(features: Sequence[Tensor]) -> Float[Tensor, "B P D"]:
    """The mean of 3x3 vectors around each position of a feature map, coarse maps brought to the finest grid (eq. 2).

    Beyond the border vectors are 0. The authors' code takes the windows of all channels as one line of numbers, which
    it pools to 1024 for each map, and these to 1024 of all maps. Of 1024 channels that is the mean as well; otherwise
    it joins neighbouring channels by their number, and the features of ResNet18 it would lengthen.

    Args:
        features: (B, C_m, h_m, w_m).
    """
    finest = max(feature.shape[2:] for feature in features)
    means = [functional.avg_pool2d(feature.float(), 3, stride=1, padding=1) for feature in features]
    brought = [functional.interpolate(mean, finest, mode="bilinear") for mean in means]  # the finest stays as it is
    return torch.cat(brought, 1).flatten(2).mT


class PatchCoreModule(OneEpochModule, Method):
    """PatchCore as a LightningModule.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature maps; 2 and 3 in the paper.
        image_size: height and width of the images.
        coreset: fraction, dim and seed, see :class:`padim.baselines.coreset.Coreset`.
        neighbours: see :class:`PatchCore`.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
    """

    name, peak = "patchcore", False
    model: PatchCore

    def __init__(
        self,
        backbone: dict[str, Any],
        layers: dict[str, Any],
        image_size: list[int],
        coreset: dict[str, Any],
        neighbours: int,
        anomaly_map: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        height, width = image_size
        network = Backbone(**backbone, stages=layers["stages"], image_size=(height, width))
        self.model = PatchCore(network, Coreset(**coreset), neighbours, **anomaly_map)

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)
