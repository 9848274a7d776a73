"""Image AUROC, pixel AUROC and PRO as metrics: the counts of :mod:`padim.curves`, batch by batch.

torchmetrics' own binary metrics are not used: they apply a sigmoid, silently, to scores outside [0, 1], which
squashes raw distances near 20 into ties. Here the scores are only ever compared with one another.
"""

import warnings

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from padim.curves import BINS, curve_area, curve_points, pixel_counts, region_weights, reject_nan, score_counts


def _as_bool(truth: Tensor, scores: Tensor, axes: str) -> Tensor:
    """The truth as bool, once shapes and types are known to be right."""
    if scores.ndim != len(axes) or scores.shape != truth.shape:
        found = f"scores have shape {tuple(scores.shape)} and the truth has {tuple(truth.shape)}"
        raise ValueError(f"{found}; both must be ({', '.join(axes)}). Resize first; drop a channel axis with x[:, 0]")
    if not scores.is_floating_point():
        raise ValueError(f"scores are {scores.dtype}; they must be floating point. Are scores and truth swapped?")
    if truth.is_floating_point() or truth.is_complex() or bool((truth != truth.bool()).any()):
        raise ValueError(f"the truth is {truth.dtype}; it must be bool, or integer 0 and 1. Compare first: truth > 0")
    return truth.bool()


def _area(metric: Metric, normal: Tensor, anomalous: Tensor, fpr_limit: float = 1.0) -> Tensor:
    """The area, with a warning where it is NaN for want of a class (0.5 would look like a result)."""
    missing = [name for name, counts in (("normal", normal), ("anomalous", anomalous)) if not counts.any()]
    if missing and metric.update_called:  # before any update torchmetrics warns by itself
        found = f"{type(metric).__name__} is NaN: it compares two classes and has seen nothing {' or '.join(missing)}"
        warnings.warn(f"{found}; add such images, with masks, to the test set, or leave it out", stacklevel=2)
    return curve_area(normal, anomalous, fpr_limit)[0]


class _PixelMetric(Metric):
    """Two histograms of pixels. Call ``update`` per batch: ``forward`` would compute the area each time."""

    is_differentiable, higher_is_better, full_state_update = False, True, False
    # What anomalous pixels are counted as, and the name of the state. A shared name would be a bug: MetricCollection
    # lets metrics share states of equal name and, after the first batch, value, and that batch may be all normal.
    hits: str
    fpr_limit = 1.0
    normal: Tensor

    def __init__(self) -> None:
        super().__init__(compute_with_cache=False)  # torchmetrics would keep the cached value after merge_state
        self.add_state("normal", torch.zeros(BINS, dtype=torch.int64), dist_reduce_fx="sum")
        hits_dtype = torch.float64 if self.hits == "regions" else torch.int64
        self.add_state(self.hits, torch.zeros(BINS, dtype=hits_dtype), dist_reduce_fx="sum")

    def _counts(self) -> tuple[Tensor, Tensor]:
        return self.normal, getattr(self, self.hits)

    def update(self, anomaly_map: Tensor, mask: Tensor, valid: Tensor | None = None) -> None:
        """Count the pixels of maps (B, H, W), any float, with masks (B, H, W), bool or integer 0 and 1.

        Where ``valid`` (B, H, W), bool, is given, the others are left out; none of them may be anomalous.
        """
        mask = _as_bool(mask, anomaly_map, "BHW")
        weights = region_weights(mask) if self.hits == "regions" else None
        if valid is not None:
            if bool((mask & ~valid).any()):
                raise ValueError("anomalous pixels are not valid, so they belong to no region; pass mask & valid")
            anomaly_map, mask = anomaly_map[valid], mask[valid]  # (K,), in the order of the weights
        counts = pixel_counts(anomaly_map, mask, weights)
        # Into the new counts, since they keep their type: module.to(bfloat16) casts the state of PRO.
        self.normal, hits = (new.add_(old) for new, old in zip(counts, self._counts(), strict=True))
        setattr(self, self.hits, hits)

    def compute(self) -> Tensor:
        """The area, float64, in [0, 1]; NaN with a warning where a class is missing."""
        return _area(self, *self._counts(), self.fpr_limit)

    def error_bound(self) -> Tensor:
        """How far :meth:`compute` can be from the area without bins. Over several ranks, all must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return curve_area(*self._counts(), self.fpr_limit)[1]

    def curve(self, rates: Tensor) -> Tensor:
        """True positive rates (R,) at these false positive rates. Over several ranks, all must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return curve_points(*self._counts(), rates)


class PixelAUROC(_PixelMetric):
    """AUROC over all pixels of all images, pooled."""

    hits = "pixels"


class PRO(_PixelMetric):
    """Per-region overlap (Bergmann et al. 2020, *Uninformed Students*, arXiv 1911.02357).

    The mean, over the 8-connected regions of all masks, of the share of the region above a threshold, as a function
    of the false positive rate over all normal pixels; its integral up to ``fpr_limit``, divided by ``fpr_limit``.
    """

    hits = "regions"

    def __init__(self, fpr_limit: float = 0.3) -> None:
        if not 0 < fpr_limit <= 1:
            raise ValueError(f"fpr_limit is {fpr_limit}; it must be above 0 and at most 1 (the article's is 0.3)")
        super().__init__()
        self.fpr_limit = fpr_limit


class ImageAUROC(Metric):
    """AUROC over images, exact: every score is kept, and ties count half."""

    is_differentiable, higher_is_better, full_state_update = False, True, False
    dtype = torch.float32  # of the states; torchmetrics gathers an empty tensor of this type from a rank without images
    scores: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__(compute_with_cache=False)  # as above
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, score: Tensor, label: Tensor) -> None:
        """Keep scores (B,), any float, with labels (B,), bool or integer 0 and 1 (anomalous)."""
        label = _as_bool(label, score, "B")
        reject_nan(score)
        self.scores.append(score.detach().to(self.dtype))
        self.labels.append(label.to(self.dtype))

    def compute(self) -> Tensor:
        """The area, float64, in [0, 1]; NaN with a warning where a class is missing."""
        return _area(self, *self._counts())

    def curve(self, rates: Tensor) -> Tensor:
        """True positive rates (R,) at these false positive rates. Over several ranks, all must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return curve_points(*self._counts(), rates)

    def _counts(self) -> tuple[Tensor, Tensor]:
        scores, labels = (dim_zero_cat(x) if len(x) else torch.zeros(0) for x in (self.scores, self.labels))
        return score_counts(scores, labels.bool())
