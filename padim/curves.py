"""Areas under curves of true over false positives, from what is counted above a falling threshold.

The curves differ only in what they count: images, one bin per distinct score, so that the area is exact; or pixels, in
bins of float32 bit patterns, so that memory is constant and ranks merge by addition.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

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


def curve_points(
    normal: Num[Tensor, " bins"], anomalous: Num[Tensor, " bins"], rates: Float[Tensor, " R"]
) -> Float[Tensor, " R"]:
    """The share of ``anomalous`` where that of ``normal`` is each of ``rates``, in float64; NaN where one has none."""
    used = (normal != 0) | (anomalous != 0)
    n, p = (torch.cat([counts.new_zeros(1), counts[used].flip(0)]).double().cpu() for counts in (normal, anomalous))
    if not n.any() or not p.any():
        return torch.full_like(rates, torch.nan)
    x, y = ((counts.cumsum(0) / counts.sum()).numpy() for counts in (n, p))
    return torch.from_numpy(np.interp(rates.numpy(), x, y))  # on a vertical rise, its upper end


def reject_nan(scores: Float[Tensor, "*shape"]) -> None:
    """Raise where a score is NaN: any rank given to it would be a silent guess."""
    if count := int(scores.isnan().sum()):
        found = f"{count} of {scores.numel()} scores are NaN, which has no rank (infinity has)"
        raise ValueError(f"{found}. Is the model fitted, and are its inputs finite?")
