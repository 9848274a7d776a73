"""What a test says of one head."""

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from padim.data.samples import Batch
from padim.head import Prediction
from padim.metrics import PRO, ImageAUROC, PixelAUROC

RATES = torch.linspace(0, 1, 201, dtype=torch.float64)
"""False positive rates at which curves are kept."""


class Evaluation(nn.Module):
    """Metrics, curves and scores over the batches of a test.

    Attributes:
        scores: of the images, by their index in the data set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image_auroc, self.pixel_auroc, self.pro = ImageAUROC(), PixelAUROC(), PRO()
        self.metrics = MetricCollection(
            {"image_auroc": self.image_auroc, "pixel_auroc": self.pixel_auroc, "pro": self.pro}, compute_groups=False
        )
        self.scores: dict[int, float] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the histograms, and of the zeros that torchmetrics keeps to reset them to."""
        states = [*self.pixel_auroc.metric_state.values(), *self.pro.metric_state.values()]
        return 2 * sum(state.nbytes for state in states if isinstance(state, Tensor))

    def reset(self) -> None:
        self.metrics.reset()
        self.scores = {}

    def update(self, prediction: Prediction, batch: Batch) -> None:
        self.metrics.update(
            score=prediction.score, label=batch.label, anomaly_map=prediction.anomaly_map, mask=batch.mask
        )
        self.scores |= dict(zip(batch.sample.tolist(), prediction.score.tolist(), strict=True))

    def results(self) -> dict[str, float]:
        """The metrics, in [0, 1], and how far the binning may have moved the pixel AUROC."""
        values = {name: value.item() for name, value in self.metrics.compute().items()}
        return values | {"pixel_auroc_error_bound": self.pixel_auroc.error_bound().item()}

    def curves(self) -> dict[str, list[float]]:
        """True positive rates at :data:`RATES`: of images, of pixels, and of regions (PRO's mean overlap)."""
        return {
            "image_roc": self.image_auroc.curve(RATES).tolist(),
            "pixel_roc": self.pixel_auroc.curve(RATES).tolist(),
            "pro": self.pro.curve(RATES).tolist(),
        }
