"""Image AUROC, pixel AUROC and PRO: areas under curves of true over false positives.

They differ only in what they count: images, one bin per distinct score, so that the area is exact; or pixels, in bins
of float32 bit patterns, so that memory is constant and ranks merge by addition.

torchmetrics' own binary metrics are not used: they apply a sigmoid, silently, to scores outside [0, 1], which
squashes raw distances near 20 into ties. Here the scores are only ever compared with one another.
"""

import warnings

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

_DROPPED_BITS = 11  # the lowest of 32: the width of a bin is at most 2^-12 of its scores, of any size and sign
BINS = 1 << (32 - _DROPPED_BITS)


def bin_index(scores: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """The bin of each score, in [0, BINS): a higher score never has a lower bin.

    A float32's bits read as an integer rise with positive floats; negative ones need all but the sign inverted.
    Infinite scores rank first and last, in bins of their own; NaN has no rank and is refused.
    """
    reject_nan(scores)
    bits = (scores.detach().float() + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    key = bits >> 31  # -1 where negative, else 0; in place from here: four times faster
    return key.bitwise_and_(0x7FFFFFFF).bitwise_xor_(bits).bitwise_right_shift_(_DROPPED_BITS).add_(BINS // 2)


def pixel_counts(
    scores: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], weights: Float[Tensor, " K"] | None = None
) -> tuple[Int[Tensor, " bins"], Num[Tensor, " bins"]]:
    """Histograms of the normal pixels (int64) and of the K anomalous ones (int64, or the sums of their weights)."""
    bins = bin_index(scores).flatten()
    hit = bins[mask.flatten()]  # (K,)
    ones = torch.ones_like(hit, dtype=torch.int64)
    # All pixels less the anomalous ones: copying the normal ones out takes longer, and so does one more histogram.
    normal = torch.bincount(bins, minlength=BINS).index_add_(0, hit, ones, alpha=-1)
    # Not bincount(weights=...): on a GPU it refuses to run under torch.use_deterministic_algorithms.
    weights = ones if weights is None else weights
    return normal, weights.new_zeros(BINS).index_add_(0, hit, weights)


def region_weights(mask: Bool[Tensor, "B H W"]) -> Float[Tensor, " K"]:
    """1 / (size of its 8-connected region) for the K anomalous pixels, in the order of ``x[mask]``, in float64."""
    from scipy import ndimage  # here, since it would slow down the start of commands that never need it

    within_image = [[[0] * 3] * 3, [[1] * 3] * 3, [[0] * 3] * 3]  # 8 neighbours in the image, none in the next image
    labels, _ = ndimage.label(mask.cpu().numpy(), within_image)
    label = torch.from_numpy(labels).to(mask.device)[mask]  # (K,)
    return torch.bincount(label).double().reciprocal()[label]


def score_counts(
    scores: Float[Tensor, " N"], labels: Bool[Tensor, " N"]
) -> tuple[Int[Tensor, " bins"], Int[Tensor, " bins"]]:
    """Histograms of the normal and of the anomalous scores with one bin per distinct score."""
    distinct, bins = torch.unique(scores, return_inverse=True)
    return torch.bincount(bins[~labels], minlength=len(distinct)), torch.bincount(bins[labels], minlength=len(distinct))


def curve_area(
    normal: Num[Tensor, " bins"], anomalous: Num[Tensor, " bins"], fpr_limit: float = 1.0
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Area under the share of ``anomalous`` over the share of ``normal`` above a falling threshold; its error bound.

    Integrated from a false positive rate of 0 to ``fpr_limit`` and divided by ``fpr_limit``, in float64. The curve is
    linear within a bin, also within the one that reaches the limit; so ties count half. NaN if a class is empty.

    With n_b, p_b the counts of a bin and N, P their sums, the true curve rises by p_b somewhere within n_b: without a
    limit the error is at most ``sum_b n_b p_b / (2 N P)``. The sum contains exact ties, though they cost nothing.
    """
    used = (normal != 0) | (anomalous != 0)
    # On the CPU, since a GPU refuses to cumulate floats under torch.use_deterministic_algorithms. Highest score first.
    n, p = (counts[used].flip(0).double().cpu() for counts in (normal, anomalous))
    n_before, p_before = n.cumsum(0) - n, p.cumsum(0) - p
    inside = (fpr_limit * n.sum() - n_before).clamp(min=0).minimum(n)  # the part of n_b that lies below the limit
    share = inside / n.clamp(min=1)
    box = fpr_limit * n.sum() * p.sum()
    area = (inside * (p_before + share * p / 2)).sum() / box
    bound = (inside * (1 - share / 2) * p).sum() / box
    return area.to(normal.device), bound.to(normal.device)


def reject_nan(scores: Float[Tensor, "*shape"]) -> None:
    """Raise where a score is NaN: any rank given to it would be a silent guess."""
    if count := int(scores.isnan().sum()):
        found = f"{count} of {scores.numel()} scores are NaN, which has no rank (infinity has)"
        raise ValueError(f"{found}. Is the model fitted, and are its inputs finite?")


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

    def update(self, anomaly_map: Tensor, mask: Tensor) -> None:
        """Count the pixels of maps (B, H, W), any float, with masks (B, H, W), bool or integer 0 and 1."""
        mask = _as_bool(mask, anomaly_map, "BHW")
        counts = pixel_counts(anomaly_map, mask, region_weights(mask) if self.hits == "regions" else None)
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
        scores, labels = (dim_zero_cat(x) if len(x) else torch.zeros(0) for x in (self.scores, self.labels))
        return _area(self, *score_counts(scores, labels.bool()))
