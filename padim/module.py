"""Lightning glue: one epoch of updates, finalise in on_train_end, score in the test and predict steps."""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torchmetrics import MetricCollection

from padim.backbone import Backbone
from padim.data.samples import Batch
from padim.head import Head, Prediction
from padim.metrics import PRO, ImageAUROC, PixelAUROC
from padim.model import PaDiM


class PaDiMModule(LightningModule):
    """PaDiM as a LightningModule; its arguments are the plain values that a checkpoint keeps.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        stages: which feature maps, fine to coarse.
        image_size: height and width of the images.
        reduction: name and dim, see :func:`padim.reduction.draw_channels`.
        covariance: eps, see :func:`padim.gaussian.covariance`.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
        seed: of the channel draw.
        save_state: keep the statistics in the checkpoint, for later updates; twice the size.

    Attributes:
        config: the composed configuration of the run, kept in the checkpoint.
        scores: of the test images, by their index in the data set, after a test.
        results: the metrics, after a test.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        stages: list[int],
        image_size: list[int],
        reduction: dict[str, Any],
        covariance: dict[str, Any],
        anomaly_map: dict[str, Any],
        seed: int = 0,
        save_state: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # the command logs the whole configuration
        self.automatic_optimization = False
        height, width = image_size
        network = Backbone(**backbone, stages=stages, image_size=(height, width))
        maps = (network.channels, network.grids, network.image_size)
        options = {"reduction": reduction["name"], "dim": reduction["dim"], **covariance, **anomaly_map}
        head = Head(*maps, **options, seed=seed, save_state=save_state)
        self.model = PaDiM(network, head)
        self.pixel_auroc = PixelAUROC()
        self.metrics = MetricCollection(
            {"image_auroc": ImageAUROC(), "pixel_auroc": self.pixel_auroc, "pro": PRO()}, compute_groups=False
        )
        self.config: dict[str, Any] = {}
        self.scores: dict[int, float] = {}
        self.results: dict[str, float] = {}

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

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    def on_test_start(self) -> None:
        self.scores = {}

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        prediction = self.model(batch.image)
        self.metrics.update(
            score=prediction.score, label=batch.label, anomaly_map=prediction.anomaly_map, mask=batch.mask
        )
        self.scores |= dict(zip(batch.sample.tolist(), prediction.score.tolist(), strict=True))

    def on_test_epoch_end(self) -> None:
        self.results = {name: value.item() for name, value in self.metrics.compute().items()}
        self.results["pixel_auroc_error_bound"] = self.pixel_auroc.error_bound().item()
        self.log_dict(self.results)
        self.metrics.reset()

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.model(batch.image)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the run's configuration, and load without the weights' file or the network."""
        checkpoint["config"] = self.config
        hyper_parameters = checkpoint["hyper_parameters"]
        hyper_parameters["backbone"] = {**hyper_parameters["backbone"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.config = checkpoint["config"]
