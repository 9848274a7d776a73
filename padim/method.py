"""Lightning glue of every method: one fitted model, its threshold, its predictions and its checkpoint."""

import math
from dataclasses import asdict
from typing import Any, ClassVar, cast

from torch import Tensor

from padim import scoring
from padim.calibration import Calibration
from padim.data.samples import Batch
from padim.evaluated import EvaluatedModule
from padim.grids import Grid
from padim.ledger import Entry
from padim.scoring import Prediction
from padim.untrusted import plain_copy


class Method(EvaluatedModule):
    """A model that is fitted to normal images and scores others; calling it gives a :class:`padim.scoring.Prediction`.

    Its arguments are the plain values that a checkpoint keeps, ``image_size`` among them; where ``backbone`` is, its
    weights come out of the checkpoint and no longer from the hub or a file. How it is fitted is up to the method.

    Attributes:
        name: of the method.
        localises: whether its anomaly map says where an image is anomalous.
        peak: whether its score is the maximum of the map, so that padding can be left out of it afterwards.
        config: the composed configuration of the run, kept in the checkpoint.
        calibration: the threshold; None where there is none, or where it was another model's: of other images.
    """

    name: ClassVar[str]
    localises: ClassVar[bool] = True
    peak: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__([self.name], self.localises, self.peak)
        self.config: dict[str, Any] = {}
        self._calibration: Calibration | None = None
        self._calibrated = 0.0

    @property
    def fitted(self) -> int:
        """How many images it is fitted to."""
        return len(self.images)

    @property
    def imprint(self) -> float:
        """What its images have left: another number after as many others, as far as images can join and leave it."""
        return 0.0

    @property
    def fitted_in_bfloat16(self) -> bool:
        """With ``execution.bfloat16``, as was its threshold found."""
        execution = self.config.get("execution")
        return isinstance(execution, dict) and execution.get("bfloat16") is True

    @property
    def image_size(self) -> Grid:
        """Height and width of the images that it takes."""
        height, width = cast(Any, self.hparams)["image_size"]
        return height, width

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the parts that an anomaly map is the sum of; none unless the method has such parts."""
        return ()

    def level_maps(self, prediction: Prediction) -> Tensor:
        """These parts, (B, L, H, W)."""
        return prediction.anomaly_map[:, None][:, :0]

    def level_parts(self, prediction: Prediction, pixels: Tensor) -> Tensor:
        """These parts at one pixel of each image, (B, L); the pixels are (B, 2), row and column."""
        return prediction.score[:, None][:, :0]

    def level_shares(self, prediction: Prediction, valid: Tensor) -> Tensor:
        """What each part contributes to the highest valid pixel of the anomaly map, of 1, (B, L)."""
        parts = self.level_parts(prediction, scoring.peak(prediction.anomaly_map, valid))
        total = parts.sum(1, keepdim=True)
        return parts / total.where(total != 0, 1)

    @property
    def nbytes(self) -> int:
        """What scoring an image takes in memory besides the feature maps: the tensors of the fitted model."""
        return sum(tensor.nbytes for tensor in self.state_dict().values())

    @property
    def calibration(self) -> Calibration | None:
        if self._calibration is None or self._calibration.fitted != self.fitted:
            return None
        # Up to rounding, since images that joined and left again are not there any more.
        return self._calibration if math.isclose(self._calibrated, self.imprint, rel_tol=1e-9) else None

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._calibration, self._calibrated = calibration, self.imprint

    @property
    def results(self) -> dict[str, float]:
        return self.tested[self.name].results

    def predictions(self, images: Tensor) -> dict[str, Prediction]:
        return {self.name: self(images)}

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return cast(Prediction, self(batch.image))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the module is, and load without the weights' file or the network."""
        checkpoint["target"] = f"{type(self).__module__}.{type(self).__name__}"
        checkpoint["config"] = plain_copy(self.config)
        checkpoint["images"] = [tuple(entry) for entry in self.images]
        checkpoint["calibration"] = asdict(self.calibration) if self.calibration else None
        hyper_parameters = checkpoint["hyper_parameters"] = plain_copy(checkpoint["hyper_parameters"])
        if "backbone" in hyper_parameters:
            hyper_parameters["backbone"] = {**hyper_parameters["backbone"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.config = dict(checkpoint["config"])
        self.images = [Entry(*image) for image in checkpoint["images"]]
        self.calibration = Calibration(**checkpoint["calibration"]) if checkpoint["calibration"] else None
