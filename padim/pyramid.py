"""The Gaussian pyramid: PaDiM's Gaussians at every position, factorised from coarse to fine by the chain rule.

PaDiM replicates coarse feature vectors to the finest grid. An embedding there is y = [c, b, a], where c is shared by a
block of positions, b by a smaller block, and

    N(y) = N(c) N(b | c) N(a | c, b),     M(y)^2 = |z_c|^2 + |z_b|^2 + |z_a|^2

with z_l the whitened own channels of level l, needed once for each position of the level's own grid. This is exactly
the paper's distance: the Cholesky factor of Sigma in this channel order has blocks that are shared in the same way.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from padim.gaussian import Moments, NotPositiveDefiniteError, covariance, whiten
from padim.grids import Grid, Level, ancestors, children

# Numbers held at once by the loops over positions: what fits in a core's cache, or keeps a GPU busy. They change the
# speed and the memory, never the result.
CPU_CHUNK, GPU_CHUNK = 2**19, 2**26


def chunks(positions: int, numbers_each: int, device: torch.device) -> Iterator[slice]:
    """Slices of positions that hold about as many numbers as suits the device."""
    chunk = CPU_CHUNK if device.type == "cpu" else GPU_CHUNK
    step = max(1, chunk // max(1, numbers_each))
    for start in range(0, positions, step):
        yield slice(start, min(start + step, positions))


def own_vectors(
    vectors: Sequence[Float[Tensor, "_ B _"]], grids: Sequence[Grid], plan: Sequence[Level]
) -> list[Float[Tensor, "_ B _"]]:
    """Own channels of each level on its own grid, (P_l, B, d_l), coarse to fine.

    Args:
        vectors: kept channels of each feature map, (P_m, B, d_m).
        grids: of each feature map.
        plan: the levels; maps folded into one are replicated to its grid.
    """
    own = []
    for level in plan:
        maps = [
            vectors[m] if grids[m] == level.grid else vectors[m][ancestors(grids[m], level.grid, level.grid)]
            for m in level.maps
        ]
        own.append(torch.cat(maps, -1) if len(maps) > 1 else maps[0].contiguous())
    return own


def embeddings(
    own: Sequence[Float[Tensor, "_ B _"]], ancestry: Int[Tensor, "C P"], positions: slice
) -> Float[Tensor, "n B D"]:
    """Embeddings of one level at some of its positions: own vectors of all levels up to it, coarse first.

    Args:
        own: own channels of each level on its own grid, (P_k, B, d_k), coarse to fine.
        ancestry: (coarser levels, P) the coarser position that covers each position of this level.
        positions: which positions of this level.
    """
    level = len(ancestry)
    # index_select copies whole rows, several times faster than indexing
    coarser = [vectors.index_select(0, index[positions]) for vectors, index in zip(own[:level], ancestry, strict=True)]
    return torch.cat([*coarser, own[level][positions]], -1)


def whiten_level(
    moments: Moments,
    eps: float,
    coarser: Sequence[Float[Tensor, "_ _ _"]],
    ancestry: Int[Tensor, "C P"],
    out: Float[Tensor, "P d D"],
) -> None:
    """Write one level's whitening rows, given those of all coarser levels; ``out`` may be the scatter itself.

    Args:
        moments: the level's moments.
        eps: added to the diagonal of the covariance.
        coarser: whitening rows of the coarser levels, (P_k, d_k, D_k), coarse to fine.
        ancestry: (coarser levels, P) the coarser position that covers each position of this level.
    """
    positions, own, channels = moments.scatter.shape
    parent = ancestry[-1] if len(ancestry) else torch.arange(positions, device=moments.scatter.device)
    groups = children(parent)
    for chunk in chunks(len(groups), groups.shape[1] * own * channels, out.device):
        members = groups[chunk]  # (Q, K)
        rows = covariance(moments.scatter[members], moments.count, eps)
        factor = _coarse_factor(coarser, [index[members[:, 0]] for index in ancestry], channels - own, rows)
        rows, failed = whiten(rows, factor)
        _require_positive_definite(failed, members, moments, eps)
        out[members] = rows


def _coarse_factor(coarser: Sequence[Tensor], index: Sequence[Tensor], channels: int, like: Tensor) -> Tensor:
    """Whitening of all coarser channels together, (Q, C, C) lower triangular, for Q coarse positions."""
    factor = like.new_zeros(len(like), channels, channels)
    start = 0
    for rows, positions in zip(coarser, index, strict=True):
        _, own, width = rows.shape
        factor[:, start : start + own, :width] = rows[positions]
        start += own
    return factor


def _require_positive_definite(failed: Tensor, members: Tensor, moments: Moments, eps: float) -> None:
    if not failed.any():
        return
    position = int(members[failed > 0][0])
    if not moments.mean[position].isfinite().all():
        raise NotPositiveDefiniteError(
            f"the statistics at position {position} are not finite; the backbone gave NaN or infinite features: "
            "check its weights and the images"
        )
    raise NotPositiveDefiniteError(
        f"the covariance of {moments.count} images is not positive definite at {int((failed > 0).sum())} positions, "
        f"first at {position}, with eps = {eps}; raise eps, or, if images were removed, check that they had gone in"
    )


def level_distances(
    own: Sequence[Float[Tensor, "_ B _"]],
    ancestry: Int[Tensor, "C P"],
    whitening: Float[Tensor, "P d D"],
    bias: Float[Tensor, "P d"],
) -> Float[Tensor, "P B"]:
    """*Squared* Mahalanobis distance of one level's own channels given the coarser ones, |W y + bias|^2."""
    batch = own[0].shape[1]
    distances = whitening.new_empty(len(whitening), batch)
    for chunk in chunks(len(whitening), batch * whitening.shape[2], whitening.device):
        residual = torch.baddbmm(bias[chunk, None], embeddings(own, ancestry, chunk), whitening[chunk].mT)
        torch.sum(residual.square_(), -1, out=distances[chunk])
    return distances
