"""What follows from a state without another pass over the images: fewer channels, other axes, wider positions.

A state is the moments of each level of a pyramid, coarse to fine, with the plan and the ancestry of
:mod:`padim.grids`. Of the scatter matrix S_p of a fine position p, a level holds the rows of its own channels; they are
the same for all p under one of its positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from padim.gaussian import Moments
from padim.grids import Level, ancestry
from padim.pyramid import chunks


@dataclass(frozen=True)
class State:
    """Moments of a pyramid.

    Attributes:
        plan: the levels, coarse to fine.
        widths: how many channels each feature map has.
        moments: of each level.
    """

    plan: tuple[Level, ...]
    widths: Mapping[int, int]
    moments: Sequence[Moments]

    @property
    def count(self) -> int:
        return self.moments[-1].count

    @property
    def channels(self) -> int:
        return self.moments[-1].mean.shape[1]

    @cached_property
    def finest(self) -> list[Int[Tensor, " P"]]:
        """For each level, its position that covers each position of the finest grid."""
        tables = ancestry(self.plan, len(self.plan) - 1)
        device = self.moments[-1].mean.device
        return [*tables.to(device), torch.arange(self.plan[-1].positions, device=device)]


def covers(plan: Sequence[Level], part: Sequence[Level]) -> bool:
    """Whether a state of these levels holds the moments of those."""
    grids = [level.grid for level in plan]
    if not all(level.grid in grids and set(level.maps) <= set(plan[grids.index(level.grid)].maps) for level in part):
        return False
    tables = [ancestry(plan, grids.index(level.grid)) for level in part]
    return all(
        torch.equal(tables[i][grids.index(coarse.grid)], ancestry(part, i)[k])
        for i in range(len(part))
        for k, coarse in enumerate(part[:i])
    )


def project(state: State, matrices: Mapping[int, Tensor], plan: tuple[Level, ...]) -> State:
    """The state of other channels of some feature maps, each a linear function of that map's channels.

    Args:
        state: whose levels cover the plan.
        matrices: (d_m, e_m) for each map of the plan; one-hot columns choose channels.
        plan: the levels of those maps.
    """
    grids = [level.grid for level in state.plan]
    moments = []
    for i, level in enumerate(plan):
        source = grids.index(level.grid)
        given = state.moments[source]
        columns = _block_matrix(state, source + 1, matrices, plan[: i + 1])
        own = _block_matrix(state, source + 1, matrices, [level])[-given.scatter.shape[1] :]
        positions, rows, width = given.scatter.shape
        scatter = given.scatter.new_empty(positions, own.shape[1], columns.shape[1])
        for chunk in chunks(positions, rows * width, scatter.device):
            scatter[chunk] = own.mT @ (given.scatter[chunk] @ columns)
        moments.append(Moments(given.count, given.mean @ columns.double(), scatter))
    return State(plan, {m: matrix.shape[1] for m, matrix in matrices.items()}, moments)


def _block_matrix(state: State, levels: int, matrices: Mapping[int, Tensor], plan: Sequence[Level]) -> Tensor:
    """From the columns of a state's first levels to those of a plan, (D, E)."""
    rows = [m for level in state.plan[:levels] for m in level.maps]
    columns = [m for level in plan for m in level.maps]
    like = next(iter(matrices.values()))
    blocks = [
        [matrices[m] if m == n else like.new_zeros(state.widths[n], matrices[m].shape[1]) for m in columns]
        for n in rows
    ]
    return torch.cat([torch.cat(row, 1) for row in blocks])


def mix(state: State, matrices: Mapping[int, Tensor]) -> State:
    """The state of values that depend on all feature maps, ``V^T y``: one level, on the finest grid.

    With R the own rows of a level, of which R_c belong to the coarser columns and R_d to its own,
    ``V^T S_p V = sum_levels (T + T^T)`` with ``T = V_d^T (R_c V_c + R_d V_d / 2)``, which coarse levels need once for
    each of their positions.

    Args:
        state: of all the feature maps.
        matrices: V in blocks of rows, (d_m, e) for each feature map.
    """
    (width,) = {matrix.shape[1] for matrix in matrices.values()}
    mean: Tensor | int = 0
    terms: list[Tensor] = []
    for i, (moments, table) in enumerate(zip(state.moments, state.finest, strict=True)):
        axes = torch.cat([matrices[m] for level in state.plan[: i + 1] for m in level.maps])  # (D, e)
        own = axes[-moments.scatter.shape[1] :]  # (d, e)
        halved = torch.cat([axes[: len(axes) - len(own)], own / 2])
        term = moments.scatter.new_empty(len(moments.mean), width, width)
        finest = i == len(state.plan) - 1
        for chunk in _chunks(moments):
            term[chunk] = own.mT @ (moments.scatter[chunk] @ halved)
            if finest:
                for coarse, index in zip(terms, state.finest, strict=False):
                    term[chunk] += coarse[index[chunk]]
                term[chunk] += term[chunk].mT.clone()
        terms.append(term)
        mean = mean + (moments.mean[:, -len(own) :] @ own.double())[table]
    maps = sum((level.maps for level in state.plan), ())
    mixed = Moments(state.count, torch.as_tensor(mean), terms[-1])
    return State((Level(state.plan[-1].grid, maps),), dict.fromkeys(maps, width), [mixed])


def _chunks(moments: Moments) -> list[slice]:
    positions, rows, width = moments.scatter.shape
    return list(chunks(positions, rows * width, moments.scatter.device))


def dense(state: State, positions: Int[Tensor, " n"]) -> Float[Tensor, "n D D"]:
    """Whole scatter matrices at some positions of the finest grid."""
    whole = state.moments[-1].scatter.new_empty(len(positions), state.channels, state.channels)
    for moments, table in zip(state.moments, state.finest, strict=True):
        rows = moments.scatter[table[positions]]  # (n, d, D_l)
        width = rows.shape[2]
        start = width - rows.shape[1]
        whole[:, start:width, :width] = rows
        whole[:, :start, start:width] = rows[..., :start].mT
    return whole


def pooled(
    state: State, positions: Int[Tensor, " n"], pool: int | str
) -> tuple[Float[Tensor, "n D D"], Float[Tensor, "n D"], Int[Tensor, " n"]]:
    """Scatter, mean and count at some positions of the finest grid, of the images of all positions around each.

    The states of pool x pool neighbours, clipped at the border, or of all positions, merged (Chan, Golub & LeVeque
    1979).
    """
    if isinstance(pool, str):
        scatter, mean, count = total(state)
        return scatter[None], mean[None], torch.tensor([count], device=mean.device)
    height, width = state.plan[-1].grid
    reach = min(pool // 2, max(height, width) - 1)  # beyond the grid there is nothing
    offset = torch.arange(-reach, reach + 1, device=positions.device)
    row = (positions // width)[:, None, None] + offset[:, None]  # (n, k, 1)
    column = (positions % width)[:, None, None] + offset  # (n, 1, k)
    inside = ((row >= 0) & (row < height) & (column >= 0) & (column < width)).flatten(1)  # (n, k k)
    neighbours = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)

    members = inside.sum(1)
    means = state.moments[-1].mean[neighbours] * inside[..., None]  # (n, k k, D)
    mean = means.sum(1) / members[:, None]
    between = ((means - mean[:, None]) * inside[..., None]).to(state.moments[-1].scatter.dtype)
    scatter = state.count * (between.mT @ between)
    for neighbour, there in zip(neighbours.unbind(1), inside.unbind(1), strict=True):
        scatter += dense(state, neighbour) * there[:, None, None]
    return scatter, mean, state.count * members


def total(state: State) -> tuple[Float[Tensor, "D D"], Float[Tensor, " D"], int]:
    """Scatter, mean and count of the images of all positions of the finest grid together, in float64.

    ``sum_p S_p + N (mean_p - mean)(mean_p - mean)^T``.
    """
    mean = state.moments[-1].mean.mean(0)
    whole = mean.new_zeros(state.channels, state.channels)
    for moments, table in zip(state.moments, state.finest, strict=True):
        covered = torch.bincount(table, minlength=len(moments.mean)).double()  # fine positions under each
        rows, width = moments.scatter.shape[1:]
        start = width - rows
        between = moments.mean - mean[:width]
        block = state.count * (covered[:, None] * between[:, start:]).mT @ between
        for chunk in _chunks(moments):
            block += torch.einsum("p,pdc->dc", covered[chunk], moments.scatter[chunk].double())
        whole[start:width, :width] = block
        whole[:start, start:width] = block[:, :start].mT
    return whole, mean, state.count * state.plan[-1].positions
