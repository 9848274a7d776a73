"""Moments of the Gaussians of one pyramid level: a commutative group of statistics, and their whitening.

Symbols, as everywhere in padim:

    P   positions of the level's grid            B   images of a batch            N   images so far
    d   the level's own channels                 D   its own channels and those of all coarser levels, D = C + d
    x   an embedding, (D,), coarse channels first, own channels last

Only the rows of the scatter matrix that belong to the own channels are kept: the other rows are the coarser levels'.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from padim.triangle import times_lower, times_upper


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of the embeddings at P positions.

    With ``count == 0`` it is the identity of the group; the tensors then hold no information: NaN is fine.

    Attributes:
        count: N, the number of images.
        mean: (P, D) float64. In float32 it would drift by 1e-3 standard deviations over 1e5 updates.
        scatter: (P, d, D), the own rows of ``sum_i (x_i - mean) (x_i - mean)^T``.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    def at(self, positions: slice) -> "Moments":
        """The moments of some positions, sharing memory with this one."""
        return Moments(self.count, self.mean[positions], self.scatter[positions])


class NotPositiveDefiniteError(ValueError):
    """A covariance has no Cholesky factor."""


def identity(positions: int, own: int, channels: int) -> Moments:
    """The moments of no image at all, ready to be updated in place.

    Not filled: memory that nobody has written costs nothing, and a checkpoint brings its own.
    """
    mean = torch.empty(positions, channels, dtype=torch.float64)
    return Moments(count=0, mean=mean, scatter=torch.empty(positions, own, channels))


def update(moments: Moments, embeddings: Float[Tensor, "P B D"]) -> Moments:
    """Add a batch of images, in place (Chan, Golub & LeVeque 1979, with a batch as the second set)."""
    return _fold(moments, embeddings, sign=1)


def remove(moments: Moments, embeddings: Float[Tensor, "P B D"]) -> Moments:
    """Take a batch of images out again, in place: the inverse of :func:`update`.

    That the images went in is not checked, since the moments do not know it. If they did not, the next factorisation
    may raise :class:`NotPositiveDefiniteError`.
    """
    batch = embeddings.shape[1]
    if batch > moments.count:
        raise ValueError(
            f"cannot remove {batch} images from the statistics of {moments.count}; remove only what went in"
        )
    if batch == moments.count:
        return replace(moments, count=0)
    return _fold(moments, embeddings, sign=-1)


@torch.no_grad()
def _fold(moments: Moments, embeddings: Tensor, sign: int) -> Moments:
    """N' = N + sign B;  mean' = mean + sign B/N' delta;  scatter' = scatter + sign (X_c^T X_c + N B/N' delta delta^T).

    delta is the batch mean minus the mean, X_c the batch centred on its own mean. The rank-one term is one more row
    of the matrix product.
    """
    count, mean, scatter = moments.count, moments.mean, moments.scatter
    batch, coarse = embeddings.shape[1], scatter.shape[2] - scatter.shape[1]
    if batch == 0:
        return moments
    if count == 0:
        mean.copy_(embeddings[:, 0])  # any reference near the data will do: it enters with weight 0
    reference = mean.to(embeddings.dtype)
    rows = embeddings.new_empty(len(mean), batch + 1, mean.shape[1])  # filled in place: a copy takes as long as a sum
    residual = torch.sub(embeddings, reference[:, None], out=rows[:, :batch])  # small, so that their mean is accurate
    shift = residual.mean(1)
    residual -= shift[:, None]
    delta = (reference - mean) + shift  # (P, D) float64
    total = count + sign * batch
    rows[:, batch] = (count * batch / total) ** 0.5 * delta
    # beta = 0 ignores what the scatter of no image holds, NaN included
    scatter.baddbmm_(rows[..., coarse:].mT, rows, beta=min(count, 1), alpha=sign)
    mean.add_(delta, alpha=sign * batch / total)
    return Moments(total, mean, scatter)


def merge(moments: Moments, other: Moments) -> Moments:
    """The moments of both sets of images, written into the first (Chan, Golub & LeVeque 1979)."""
    if other.count == 0:
        return moments
    if moments.count == 0:
        moments.mean.copy_(other.mean)
        moments.scatter.copy_(other.scatter)
        return Moments(other.count, moments.mean, moments.scatter)
    total = moments.count + other.count
    coarse = moments.scatter.shape[2] - moments.scatter.shape[1]
    delta = other.mean - moments.mean
    column = delta.to(moments.scatter.dtype)[:, :, None]  # (P, D, 1)
    weight = moments.count * other.count / total
    moments.scatter.add_(other.scatter).baddbmm_(column[:, coarse:], column.mT, alpha=weight)
    moments.mean.add_(delta, alpha=other.count / total)
    return Moments(total, moments.mean, moments.scatter)


def recentre(moments: Moments, mean: Tensor) -> Moments:
    """The same images about another mean, (P, D), in place: what the parts of a sum of moments have in common."""
    if moments.count == 0:
        return Moments(0, moments.mean.copy_(mean), moments.scatter.zero_())
    coarse = moments.scatter.shape[2] - moments.scatter.shape[1]
    column = (moments.mean - mean).to(moments.scatter.dtype)[:, :, None]  # (P, D, 1)
    moments.scatter.baddbmm_(column[:, coarse:], column.mT, alpha=moments.count)
    return Moments(moments.count, moments.mean.copy_(mean), moments.scatter)


def eps_without_one(eps: float, count: int) -> float:
    """The eps under which :func:`leave_one_out` finds what the distance of an image is under ``eps`` without itself."""
    return eps * (count - 2) / (count - 1)


def leave_one_out(squared: Float[Tensor, "B L *P"], count: int) -> Float[Tensor, "B L *P"]:
    """|z_l|^2 of each level of images, from those under the Gaussians of all images to those of all the others.

    Without image x the mean moves by (mean - x) / (N - 1) and the scatter loses N / (N - 1) (x - mean)(x - mean)^T, so
    that by Sherman & Morrison, with m the squared distance to all under :func:`eps_without_one` and c = N / (N - 1)^2,
    it is ``(N / (N - 1))^2 (N - 2) / (N - 1) m / (1 - c m)``. That holds for the channels up to each level as well. The
    relative error is that of m over 1 - c m, which is small where N is and the image lies by itself.

    Args:
        squared: of images that are in the statistics, coarse levels first.
        count: N, at least 3.

    Raises:
        ValueError: of some distance nothing is left but rounding.
    """
    ratio = count / (count - 1)
    m = squared.cumsum(1)
    rest = 1 - ratio / (count - 1) * m
    if (rest <= 64 * torch.finfo(m.dtype).eps).any():
        raise ValueError(
            f"of {count} images some are so far from the others that float32 cannot tell how far (1 - c m is "
            f"{float(rest.min()):.1g}): raise covariance.eps, give more images, or hold images out "
            "(calibration.source=held_out)"
        )
    up_to_level = ratio**2 * (count - 2) / (count - 1) * m / rest
    return torch.cat([up_to_level[:, :1], up_to_level.diff(dim=1)], 1)


def whiten(
    covariance: Float[Tensor, "Q K d D"], coarser: Float[Tensor, "Q C C"]
) -> tuple[Float[Tensor, "Q K d D"], Bool[Tensor, "Q K"]]:
    """Own rows of ``L^-1``, L the Cholesky factor of Sigma, given those of all coarser channels.

    The K positions of a group share the coarser factor, so their rows are folded into one matrix product.

    Args:
        covariance: own rows of Sigma, for Q groups of K positions.
        coarser: ``W = L_C^-1``, whitening of the C coarser channels, one for each group.

    Returns:
        The rows ``[-L_d^-1 L_dC W, L_d^-1]``, where ``L_dC = Sigma_dC W^T`` and ``L_d L_d^T = Sigma_dd - L_dC L_dC^T``,
        the Schur complement: the covariance of the own channels given the coarser ones. And, for each position,
        whether there are no such rows: that complement is not positive definite, or not by more than one rounding of
        the covariance.
    """
    groups, members, own, channels = covariance.shape
    coarse = channels - own
    cross = covariance[..., :coarse].reshape(groups, members * own, coarse)
    factor = times_upper(cross, coarser.mT)  # L_dC, (Q, K d, C)
    regression = times_lower(factor, coarser).view(groups * members, own, coarse)
    factor = factor.view(groups, members, own, coarse)
    schur = covariance[..., coarse:] - factor @ factor.mT  # (Q, K, d, d)
    triangle, info = torch.linalg.cholesky_ex(schur)
    pivots, variances = (x.diagonal(dim1=-2, dim2=-1) for x in (triangle, covariance[..., coarse:]))
    failed = (info > 0) | ~(pivots.square() > torch.finfo(schur.dtype).eps * variances).all(-1)  # also inf and NaN
    eye = torch.eye(own, dtype=schur.dtype, device=schur.device).expand_as(schur)
    inverse = torch.linalg.solve_triangular(triangle, eye, upper=False)
    rows = covariance.new_empty(groups * members, own, channels)
    torch.bmm(-inverse.flatten(0, 1), regression, out=rows[..., :coarse])
    rows = rows.view(covariance.shape)
    rows[..., coarse:] = inverse
    return rows, failed
