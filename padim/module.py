"""Lightning glue: one epoch of updates, finalise in on_train_end, score in the test and predict steps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from padim.backbone import Backbone
from padim.calibration import Calibration
from padim.covariance import Covariance
from padim.data.samples import Batch
from padim.evaluation import Evaluation, Tested
from padim.head import Head, Prediction
from padim.heads import build_head, split
from padim.ledger import Entry, require_disjoint
from padim.model import PaDiM
from padim.processes import gather, merge_ranks
from padim.reduction import make_reduction


class OneEpochModule(LightningModule, ABC):
    """A model that is fitted by one epoch of updates, without a gradient; each process takes a share of the images.

    Attributes:
        images: which are in the statistics.
        tested: what a test gave, of each head by its name.
    """

    model: PaDiM
    images: list[Entry]
    tested: dict[str, Tested]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.images = []
        self.evaluations = {name: Evaluation() for name in names}
        self._evaluations = nn.ModuleList(self.evaluations.values())  # whose names may hold no dots
        self._conclude()

    def on_fit_start(self) -> None:
        if self.trainer.max_epochs != 1:
            raise ValueError(f"trainer.max_epochs={self.trainer.max_epochs} counts images more than once; it must be 1")

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """None to configure: fitting is counting."""
        return []

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.model.update(batch.image)
        self.images += map(Entry, batch.name, batch.content)

    def on_train_end(self) -> None:
        """On every rank: sending the whitening would take longer, and what cannot be whitened is told by all."""
        merge_ranks(self.model.statistics)
        self.images = [entry for of_rank in gather(self.images) for entry in of_rank]
        self.model.finalise()

    def on_test_start(self) -> None:
        for evaluation in self.evaluations.values():
            evaluation.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        for name, prediction in self.predictions(batch.image).items():
            self.evaluations[name].update(prediction, batch)

    def on_test_epoch_end(self) -> None:
        self._conclude()
        self.log_dict(self.results, sync_dist=True)  # the same on all ranks

    @property
    @abstractmethod
    def results(self) -> dict[str, float]:
        """The metrics, after a test."""

    @abstractmethod
    def predictions(self, images: Tensor) -> dict[str, Prediction]:
        """What each head says of a batch of images."""

    def _conclude(self) -> None:
        self.tested = {name: evaluation.tested() for name, evaluation in self.evaluations.items()}


class PaDiMModule(OneEpochModule):
    """PaDiM as a LightningModule; its arguments are the plain values that a checkpoint keeps.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature maps, fine to coarse; ``combine``, see :func:`padim.heads.split`.
        image_size: height and width of the images.
        reduction: name and dim, see :func:`padim.reduction.make_reduction`.
        covariance: name, eps and pool, see :class:`padim.covariance.Covariance`.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
        seed: of the reduction's draw.
        save_state: keep the statistics in the checkpoint, for later updates; twice the size.

    Attributes:
        config: the composed configuration of the run, kept in the checkpoint.
        calibration: the threshold; None where there is none, or where it was another model's: of other images.
    """

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
        super().__init__(["padim"])
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
        self.model = PaDiM(network, build_head(layers["combine"], parts, head))
        self.config: dict[str, Any] = {}
        self._calibration: Calibration | None = None

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    @property
    def calibration(self) -> Calibration | None:
        ours = self._calibration and self._calibration.fitted == self.model.head.count
        return self._calibration if ours else None

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._calibration = calibration

    @property
    def results(self) -> dict[str, float]:
        return self.tested["padim"].results

    def predictions(self, images: Tensor) -> dict[str, Prediction]:
        return {"padim": self.model(images)}

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.model(batch.image)

    def merge(self, other: "PaDiMModule") -> None:
        """Add the statistics of other images; then ``model.finalise()``."""
        require_disjoint(self.images, other.images)
        self.model.merge(other.model)
        self.images += other.images
        self.calibration = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the run's configuration and images, and load without the weights' file or the network."""
        checkpoint["config"] = self.config
        checkpoint["images"] = [tuple(entry) for entry in self.images]
        checkpoint["calibration"] = asdict(self.calibration) if self.calibration else None
        hyper_parameters = checkpoint["hyper_parameters"]
        hyper_parameters["backbone"] = {**hyper_parameters["backbone"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.config = checkpoint["config"]
        self.images = [Entry(*image) for image in checkpoint["images"]]
        self.calibration = Calibration(**checkpoint["calibration"]) if checkpoint["calibration"] else None
