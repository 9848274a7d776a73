"""Lightning glue of every test: predictions in, metrics out."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from padim.data.samples import Batch
from padim.evaluation import Evaluation, Tested
from padim.ledger import Entry
from padim.scoring import Prediction


class EvaluatedModule(LightningModule, ABC):
    """One or several predictions of each image, each with metrics of its own.

    Args:
        names: of the predictions.
        localises, peak: see :class:`padim.evaluation.Evaluation`.

    Attributes:
        images: those that the module is fitted to.
        tested: what a test gave, of each prediction by its name.
        image_seconds: of the last test, what the predictions took, an image: no loading, no metrics.
    """

    images: list[Entry]
    tested: dict[str, Tested]

    def __init__(self, names: Sequence[str], localises: bool = True, peak: bool = True) -> None:
        super().__init__()
        self.images = []
        self.evaluations = {name: Evaluation(localises, peak) for name in names}
        self._evaluations = nn.ModuleList(self.evaluations.values())  # whose names may hold no dots
        self._seconds, self._seen = 0.0, 0
        self._conclude()

    @property
    @abstractmethod
    def results(self) -> dict[str, float]:
        """The metrics, after a test."""

    @abstractmethod
    def predictions(self, images: Tensor) -> dict[str, Prediction]:
        """What is said of a batch of images, by name."""

    def level_shares(self, prediction: Prediction, valid: Tensor) -> Tensor:
        """(B, L), of 1, what parts of an anomaly map contribute to its highest valid pixel; none where it has none."""
        return prediction.score[:, None][:, :0]

    @property
    def image_seconds(self) -> float:
        return self._seconds / max(1, self._seen)

    def on_test_start(self) -> None:
        self._seconds, self._seen = 0.0, 0
        for evaluation in self.evaluations.values():
            evaluation.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        start = self._clock()
        predictions = self.predictions(batch.image)
        self._seconds += self._clock() - start
        self._seen += len(batch.image)
        for name, prediction in predictions.items():
            self.evaluations[name].update(prediction, batch, self.level_shares(prediction, batch.valid))

    def on_test_epoch_end(self) -> None:
        self._conclude()
        self.log_dict(self.results, sync_dist=True)  # the same on all ranks

    def _conclude(self) -> None:
        self.tested = {name: evaluation.tested() for name, evaluation in self.evaluations.items()}

    def _clock(self) -> float:
        """Seconds, once the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
