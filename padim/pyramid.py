"""The Gaussian pyramid: PaDiM's Gaussians at every position, factorised from coarse to fine by the chain rule.

PaDiM replicates coarse feature vectors to the finest grid. An embedding there is y = [c, b, a], where c is shared by a
block of positions, b by a smaller block, and

    N(y) = N(c) N(b | c) N(a | c, b),     M(y)^2 = |z_c|^2 + |z_b|^2 + |z_a|^2

with z_l the whitened own channels of level l, needed once for each position of the level's own grid. This is exactly
the paper's distance: the Cholesky factor of Sigma in this channel order has blocks that are shared in the same way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from padim.gaussian import NotPositiveDefiniteError, whiten
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
    vectors: Mapping[int, Float[Tensor, "_ B _"]], grids: Sequence[Grid], plan: Sequence[Level], mixes: bool = False
) -> list[Float[Tensor, "_ B _"]]:
    """Own channels of each level on its own grid, (P_l, B, d_l), coarse to fine.

    Args:
        vectors: kept channels of each feature map, (P_m, B, d_m).
        grids: of each feature map.
        plan: the levels; maps folded into one are replicated to its grid.
        mixes: whether the maps of a level are added instead of joined.
    """
    own = []
    for level in plan:
        maps = [
            vectors[m] if grids[m] == level.grid else vectors[m][ancestors(grids[m], level.grid, level.grid)]
            for m in level.maps
        ]
        if mixes:
            own.append(torch.stack(maps).sum(0))
        else:
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
    covariance: Callable[[Int[Tensor, "Q K"]], Float[Tensor, "Q K d D"]],
    coarser: Sequence[Float[Tensor, "_ _ _"]],
    ancestry: Int[Tensor, "C P"],
    grid: Grid,
    out: Float[Tensor, "P d D"],
) -> None:
    """Write one level's whitening rows, given those of all coarser levels.

    Args:
        covariance: own rows of the covariance at some positions.
        coarser: whitening rows of the coarser levels, (P_k, d_k, D_k), coarse to fine.
        ancestry: (coarser levels, P) the coarser position that covers each position of this level.
        grid: of the level, for messages.
        out: may be what ``covariance`` reads from: no position is read after it is written.

    Raises:
        NotPositiveDefiniteError: naming the first position, and what to do.
    """
    positions, own, channels = out.shape
    parent = ancestry[-1] if len(ancestry) else torch.arange(positions, device=out.device)
    groups = children(parent)
    for chunk in chunks(len(groups), groups.shape[1] * own * channels, out.device):
        members = groups[chunk]  # (Q, K)
        rows = covariance(members)
        factor = _coarse_factor(coarser, [index[members[:, 0]] for index in ancestry], channels - own, rows)
        white, failed = whiten(rows, factor)
        if failed.any():
            row, column = divmod(int(members[failed][0]), grid[1])
            where = f"level {len(ancestry)}, row {row}, column {column} of its {grid[0]} x {grid[1]} grid"
            raise NotPositiveDefiniteError(_failure(rows[failed][0], where))
        out[members] = white.to(out.dtype)


def _coarse_factor(coarser: Sequence[Tensor], index: Sequence[Tensor], channels: int, like: Tensor) -> Tensor:
    """Whitening of all coarser channels together, (Q, C, C) lower triangular, for Q coarse positions."""
    factor = like.new_zeros(len(like), channels, channels)
    start = 0
    for rows, positions in zip(coarser, index, strict=True):
        _, own, width = rows.shape
        factor[:, start : start + own, :width] = rows[positions]
        start += own
    return factor


def _failure(rows: Tensor, where: str) -> str:
    """Why the own rows (d, D) of a covariance have no Cholesky factor."""
    own, channels = rows.shape
    if not rows.isfinite().all():
        return (
            f"the statistics are not finite at {where}: the squares of the features are beyond {rows.dtype}; check the "
            "network's weights"
        )
    low, high = map(float, rows[:, channels - own :].diagonal().aminmax())
    rounding = 4 * channels * torch.finfo(rows.dtype).eps * high
    if low < -abs(rounding):
        return f"a variance is {low:.3g}, below 0, at {where}: images were removed that had never gone in; fit again"
    enough = rounding or 0.01  # where there is no variance at all
    return (
        f"the covariance is not positive definite at {where}, where variances reach {high:.3g}: raise covariance.eps, "
        f"to {enough:.1g} for instance, or, if images were removed, check that they had gone in"
    )


def level_distances(
    own: Sequence[Float[Tensor, "_ B _"]],
    ancestry: Int[Tensor, "C P"],
    whitening: Float[Tensor, "W d D"],
    bias: Float[Tensor, "W d"],
) -> Float[Tensor, "P B"]:
    """*Squared* Mahalanobis distance of one level's own channels given the coarser ones, |W y + bias|^2.

    ``whitening`` and ``bias`` hold a row for each position, or one for all.
    """

    def squares(chunk: slice) -> Tensor:
        vectors = embeddings(own, ancestry, chunk)  # (n, B, D)
        if len(whitening) == 1:
            residual = vectors @ whitening[0].mT + bias
        else:
            residual = torch.baddbmm(bias[chunk, None], vectors, whitening[chunk].mT)
        return residual.square_()

    if torch.compiler.is_compiling():  # a graph for any batch has no loop whose length depends on it
        return squares(slice(None)).sum(-1)
    positions, batch, _ = own[-1].shape
    distances = whitening.new_empty(positions, batch)
    for chunk in chunks(positions, batch * whitening.shape[2], whitening.device):
        torch.sum(squares(chunk), -1, out=distances[chunk])
    return distances
