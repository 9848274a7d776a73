"""PaDiM as a LightningModule."""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from padim.backbone import Backbone
from padim.covariance import Covariance
from padim.estimate import require_memory
from padim.head import Head
from padim.heads import LayerSum, build_head, split
from padim.ledger import require_disjoint
from padim.method import Method
from padim.model import PaDiM
from padim.one_epoch import OneEpochModule
from padim.reduction import make_reduction
from padim.scoring import Prediction


class PaDiMModule(OneEpochModule, Method):
    """PaDiM (Defard et al. 2020): a Gaussian at every position, and the Mahalanobis distance to it.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature maps, fine to coarse; ``combine``, see :func:`padim.heads.split`.
        image_size: height and width of the images.
        reduction: name and dim, see :func:`padim.reduction.make_reduction`.
        covariance: name, eps and pool, see :class:`padim.covariance.Covariance`.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
        seed: of the reduction's draw.
        save_state: keep the statistics in the checkpoint, for later updates; twice the size.
    """

    name = "padim"
    model: PaDiM

    def __init__(
        self,
        backbone: dict[str, Any],
        layers: dict[str, Any],
        image_size: list[int],
        reduction: dict[str, Any],
        covariance: dict[str, Any],
        anomaly_map: dict[str, Any],
        seed: int = 0,
        save_state: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the command logs the whole configuration
        height, width = image_size
        network = Backbone(**backbone, stages=layers["stages"], image_size=(height, width))
        head = partial(
            Head,
            network.channels,
            network.grids,
            network.image_size,
            covariance=Covariance(**covariance),
            **anomaly_map,
            save_state=save_state,
        )
        reduced = make_reduction(**reduction, channels=network.channels, seed=seed)
        parts = split(layers["combine"], range(len(network.channels)), reduced)
        if backbone.get("weights", "random") is not None:  # else it is loaded, mapped from its file
            with torch.device("meta"):  # to see how much memory it takes, without taking it
                require_memory(build_head(layers["combine"], parts, head))
        self.model = PaDiM(network, build_head(layers["combine"], parts, head))

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    @property
    def head(self) -> Head | LayerSum:
        return cast(Head | LayerSum, self.model.head)

    @property
    def fitted(self) -> int:
        return self.head.count

    @property
    def imprint(self) -> float:
        """Of the mean embeddings."""
        levels = [level for statistics in self.model.statistics for level in statistics.levels]
        return sum(float(level.mean.square().sum()) for level in levels if level.mean is not None)

    @property
    def levels(self) -> tuple[str, ...]:
        """Of each level, coarse first, the names of the network's modules that it looks at."""
        taps = self.model.backbone.taps
        return tuple(" + ".join(taps[m] for m in maps) for maps in self.head.level_inputs)

    def level_maps(self, prediction: Prediction) -> Tensor:
        return self.head.level_maps(prediction)

    def level_parts(self, prediction: Prediction, pixels: Tensor) -> Tensor:
        return self.head.level_parts(prediction, pixels)

    @property
    def nbytes(self) -> int:
        """Without the statistics, which only updates need."""
        return sum(tensor.nbytes for name, tensor in self.state_dict().items() if ".statistics." not in name)

    def merge(self, other: "PaDiMModule") -> None:
        """Add the statistics of other images; then ``model.finalise()``."""
        require_disjoint(self.images, other.images)
        self.model.merge(other.model)
        self.images += other.images
        self.calibration = None
