"""Lightning glue: one epoch of updates, finalise in on_train_end, score in the test and predict steps."""

from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from padim.backbone import Backbone
from padim.covariance import Covariance
from padim.data.samples import Batch
from padim.evaluation import Evaluation
from padim.head import Head, Prediction
from padim.heads import build_head, split
from padim.model import PaDiM
from padim.reduction import make_reduction


class OneEpochModule(LightningModule):
    """A model that is fitted by one epoch of updates, without a gradient."""

    model: PaDiM

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def on_fit_start(self) -> None:
        if self.trainer.max_epochs != 1:
            raise ValueError(f"trainer.max_epochs={self.trainer.max_epochs} counts images more than once; it must be 1")

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """None to configure: fitting is counting."""
        return []

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.model.update(batch.image)

    def on_train_end(self) -> None:
        self.model.finalise()


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
        evaluation: of the last test.
        results: the metrics, after a test.
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
        self.model = PaDiM(network, build_head(layers["combine"], parts, head))
        self.evaluation = Evaluation()
        self.config: dict[str, Any] = {}
        self.results: dict[str, float] = {}

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    def on_test_start(self) -> None:
        self.evaluation.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation.update(self.model(batch.image), batch)

    def on_test_epoch_end(self) -> None:
        self.results = self.evaluation.results()
        self.log_dict(self.results)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.model(batch.image)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the run's configuration, and load without the weights' file or the network."""
        checkpoint["config"] = self.config
        hyper_parameters = checkpoint["hyper_parameters"]
        hyper_parameters["backbone"] = {**hyper_parameters["backbone"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.config = checkpoint["config"]
