"""SPADE: the nearest training images, and their nearest pixels (Cohen & Hoshen 2020, arXiv 2005.02357)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from padim.backbone import Backbone
from padim.baselines.dn2 import pooled
from padim.baselines.gallery import Gallery
from padim.baselines.pixel_gallery import PixelGallery
from padim.extractor import Extractor
from padim.method import Method
from padim.one_epoch import OneEpochModule
from padim.precision import full_precision, require_finite
from padim.scoring import Prediction, anomaly_map, map_at, smoothing_matrix


class SPADE(Extractor):
    """Whole images are compared with whole images, then pixels with those of the most similar images.

    The score of an image y is that of :mod:`padim.baselines.dn2`: with globally pooled features f of the network's last
    feature map, and N the K nearest training images (equation 2),

        d(y) = 1/K sum of |f(x) - f(y)|^2 over x in N

    The score of its pixel p is the distance of the features F there, of several levels, to the nearest ones anywhere in
    these images (equation 3 with kappa = 1). Up-sampled and smoothed these are the anomaly map.

        d(y, p) = min of |F(x, q) - F(y, p)|^2 over x in N and all pixels q

    Both are squared. A coarse feature vector stands at every fine position that it covers: the paper joins its levels
    without saying how, and what PaDiM gives as SPADE's memory (table VIII) counts each vector once.

    The authors' figures on MVTec AD, with Wide-ResNet50 and K = 50, are an image AUROC of 0.855, a pixel AUROC of 0.960
    and a PRO of 0.917; on ShanghaiTech Campus, with K = 1, a pixel AUROC of 0.899. Public
    re-implementations have the image AUROC of 0.855 with K = 5, and one has 0.81 with K = 50.

    The model holds the feature maps of all training images: of Wide-ResNet50 at 224 pixels 5.6 MB each.

    Args:
        backbone: makes the feature maps.
        pixel_maps: which of them pixels are compared by.
        image_map: which of them, pooled, images are compared by.
        neighbours: K; of fewer training images all are taken.
        sigma, interpolation: of the anomaly map, see :func:`padim.scoring.smoothing_matrix`.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        backbone: Backbone,
        pixel_maps: list[int],
        image_map: int,
        neighbours: int,
        sigma: float = 4.0,
        interpolation: str = "bicubic",
    ) -> None:
        super().__init__(backbone)
        if neighbours < 1:
            raise ValueError(f"model.neighbours={neighbours}; it must be 1 or more, 50 for instance")
        self.image_map, self.neighbours = image_map, neighbours
        self.images = Gallery(backbone.channels[image_map])
        self.pixels = PixelGallery(backbone.channels, backbone.grids, pixel_maps)
        grid = self.pixels.plan[-1].grid
        for name, size, cells in zip(("rows", "columns"), backbone.image_size, grid, strict=True):
            matrix = smoothing_matrix(size, cells, sigma, interpolation)
            self.register_buffer(name, matrix.float(), persistent=False)

    def forward(self, images: Tensor) -> Prediction:
        features = self.features(images)
        with full_precision(images.device):
            squared, nearest = self.images.nearest(pooled([features[self.image_map]]), self.neighbours)
            distances = self.pixels(features, nearest)  # (B, L, h, w)
            smoothed = self.smooth(distances.sum(1))
        return Prediction(squared.mean(1), smoothed, distances.unbind(1))

    def smooth(self, distances: Float[Tensor, "*B h w"]) -> Float[Tensor, "*B H W"]:
        """A map on the finest grid, up-sampled to the image's size and smoothed."""
        return anomaly_map(distances, self.rows, self.columns)

    def update(self, images: Tensor) -> None:
        features = self.features(images)
        require_finite([feature.flatten(2).permute(2, 0, 1) for feature in features])
        self.images.add(pooled([features[self.image_map]]))
        self.pixels.add(features)

    def merge_ranks(self) -> None:
        self.images.merge_ranks()
        self.pixels.merge_ranks()

    def finalise(self) -> None:
        self.images.finalise()
        self.pixels.finalise()


class SPADEModule(OneEpochModule, Method):
    """SPADE as a LightningModule.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature maps pixels are compared by; 1, 2 and 3 in the paper.
        image_size: height and width of the images.
        image_stage: which feature map, pooled, images are compared by; the last, 4, in the paper.
        neighbours: see :class:`SPADE`.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
    """

    name, peak = "spade", False
    model: SPADE

    def __init__(
        self,
        backbone: dict[str, Any],
        layers: dict[str, Any],
        image_size: list[int],
        image_stage: int | str,
        neighbours: int,
        anomaly_map: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        height, width = image_size
        stages = layers["stages"]
        every = stages if image_stage in stages else [*stages, image_stage]
        network = Backbone(**backbone, stages=every, image_size=(height, width))
        pixel_maps = list(range(len(stages)))
        self.model = SPADE(network, pixel_maps, every.index(image_stage), neighbours, **anomaly_map)

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    @property
    def levels(self) -> tuple[str, ...]:
        """Of each level, coarse first, the names of the network's modules that it looks at."""
        taps = self.model.backbone.taps
        return tuple(" + ".join(taps[m] for m in level.maps) for level in self.model.pixels.plan)

    def level_maps(self, prediction: Prediction) -> Tensor:
        """What each level adds to the squared distances; they add up to the anomaly map."""
        return self.model.smooth(torch.stack(prediction.level_distances, 1))

    def level_parts(self, prediction: Prediction, pixels: Tensor) -> Tensor:
        parts = torch.stack(prediction.level_distances, 1)
        return map_at(pixels, parts, self.model.rows, self.model.columns)
