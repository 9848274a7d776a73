"""What a test says of one head."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from padim.data.samples import Batch
from padim.metrics import PRO, ImageAUROC, PixelAUROC
from padim.processes import gather
from padim.scoring import Prediction, image_score

RATES = torch.linspace(0, 1, 201, dtype=torch.float64)
"""False positive rates at which curves are kept."""
PIXELWISE = ("pixel_auroc", "pro")
METRICS = ("image_auroc", *PIXELWISE)


@dataclass(frozen=True)
class Tested:
    """What a test gave, as plain values.

    Attributes:
        scores: of the images, by their index in the data set.
        shares: of the same, what each level contributes to the peak of the anomaly map, of 1.
        results: the metrics that could be measured, by name.
        curves: by name, at :data:`RATES`.
        unmeasured: the other metrics, and why.
    """

    scores: dict[int, float]
    shares: dict[int, list[float]]
    results: dict[str, float]
    curves: dict[str, list[float]]
    unmeasured: dict[str, str]


class Seen(Metric):
    """How many test images are normal, are anomalous, and have anomalous pixels that are unknown."""

    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("images", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, label: Tensor, mask_known: Tensor) -> None:
        anomalous = label.bool()
        self.images = self.images + torch.stack([(~anomalous).sum(), anomalous.sum(), (~mask_known).sum()])

    def compute(self) -> Tensor:
        return self.images

    def counts(self) -> tuple[int, int, int]:
        """The three. Over several ranks, all must call it; unlike compute it takes nothing seen for an answer."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            normal, anomalous, unknown = self.images.tolist()
        return normal, anomalous, unknown


class Evaluation(nn.Module):
    """Metrics, curves and scores over the batches of a test.

    Args:
        localises: whether the anomaly maps say where an image is anomalous.
        peak: whether the scores are the maxima of these maps.

    Attributes:
        scores, shares: of the images, by their index in the data set.
    """

    def __init__(self, localises: bool = True, peak: bool = True) -> None:
        super().__init__()
        self.localises, self.peak = localises, peak
        self.image_auroc, self.pixel_auroc, self.pro = ImageAUROC(), PixelAUROC(), PRO()
        self.metrics = MetricCollection(
            {"image_auroc": self.image_auroc, "pixel_auroc": self.pixel_auroc, "pro": self.pro}, compute_groups=False
        )
        self.seen = Seen()
        self.scores: dict[int, float] = {}
        self.shares: dict[int, list[float]] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the histograms, and of the zeros that torchmetrics keeps to reset them to."""
        states = [*self.pixel_auroc.metric_state.values(), *self.pro.metric_state.values()]
        return 2 * sum(state.nbytes for state in states if isinstance(state, Tensor))

    def reset(self) -> None:
        self.metrics.reset()
        self.seen.reset()
        self.scores, self.shares = {}, {}

    def update(self, prediction: Prediction, batch: Batch, shares: Tensor) -> None:
        """Add a batch; the shares are (B, L), of as many levels as there are."""
        anomaly_map, score = prediction.anomaly_map, scores_of(prediction, batch, self.peak)
        valid = None if batch.valid.all() else batch.valid
        self.seen.update(batch.label, batch.mask_known)
        self.metrics.update(score=score, label=batch.label, anomaly_map=anomaly_map, mask=batch.mask, valid=valid)
        self.scores |= dict(zip(batch.sample.tolist(), score.tolist(), strict=True))
        self.shares |= dict(zip(batch.sample.tolist(), shares.tolist(), strict=True))

    def unmeasured(self) -> dict[str, str]:
        """Which metrics cannot be measured on these images, and why."""
        normal, anomalous, unknown = self.seen.counts()
        if not anomalous:
            reason = "no anomalous test images" if normal else "no test images"
            return dict.fromkeys(METRICS, reason)
        reasons = {} if normal else {"image_auroc": "no normal test images"}
        if not self.localises:
            reasons |= dict.fromkeys(PIXELWISE, "this method scores whole images alone")
        elif unknown:  # over the other images alone it would be another number under the same name
            known = f"the anomalous pixels of {unknown} of {anomalous} anomalous test images are unknown"
            reasons |= dict.fromkeys(PIXELWISE, known)
        return reasons

    def results(self) -> dict[str, float]:
        """The metrics that can be measured, in [0, 1], and how far the binning may have moved the pixel AUROC."""
        unmeasured = self.unmeasured()
        values = {name: self.metrics[name].compute().item() for name in METRICS if name not in unmeasured}
        if "pixel_auroc" in values:
            values["pixel_auroc_error_bound"] = self.pixel_auroc.error_bound().item()
        return values

    def tested(self) -> Tested:
        """All of it, of the images of all ranks, without the memory of the histograms. All ranks must call it."""
        scores = {index: score for of_rank in gather(self.scores) for index, score in of_rank.items()}
        shares = {index: share for of_rank in gather(self.shares) for index, share in of_rank.items()}
        return Tested(scores, shares, self.results(), self.curves(), self.unmeasured())

    def curves(self) -> dict[str, list[float]]:
        """True positive rates at :data:`RATES`: of images, of pixels, and of regions (PRO's mean overlap)."""
        curves = {"image_auroc": "image_roc", "pixel_auroc": "pixel_roc", "pro": "pro"}
        unmeasured = self.unmeasured()
        return {
            curve: getattr(self, name).curve(RATES).tolist() for name, curve in curves.items() if name not in unmeasured
        }


def scores_of(prediction: Prediction, batch: Batch, peak: bool) -> Tensor:
    """(B,) the scores of the images; where they are the maxima of the anomaly maps, padding left out."""
    whole = not peak or bool(batch.valid.all())
    return prediction.score if whole else image_score(prediction.anomaly_map, batch.valid)


def explain(unmeasured: dict[str, str]) -> list[str]:
    """One line on what could not be measured; none where all could."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in unmeasured.items():
        by_reason.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    return [f"not measured: {'; '.join(parts)}"] if parts else []
