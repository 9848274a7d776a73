"""Coresets: some of many rows, such that none of the others is far from all of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CANDIDATES, CHUNK = 2**10, 2**22
"""Rows that are chosen from at once, and distances in memory at once. They change the speed, never the result."""


@dataclass(frozen=True)
class Coreset:
    """Which share of the rows is kept: the greedy k-centre of a random projection (Roth et al. 2021, algorithm 1).

    Attributes:
        fraction: of the rows.
        dim: of the projection, normal numbers, which keeps distances (Johnson & Lindenstrauss 1984); shorter rows, and
            all with None, stay as they are.
        seed: of the projection, which depends on nothing else.
    """

    fraction: float = 0.1
    dim: int | None = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"coreset.fraction={self.fraction}; it must be above 0 and at most 1 (all rows)")
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"coreset.dim={self.dim}; it must be 1 or more, or null: no projection")

    def choose(self, rows: Float[Tensor, "N D"]) -> Int[Tensor, " n"]:
        """Which rows are kept, in the order of the choice."""
        return greedy_k_centre(self.projected(rows), max(1, round(self.fraction * len(rows))))

    def projected(self, rows: Float[Tensor, "N D"]) -> Float[Tensor, "N _"]:
        """What the distances are measured of, the same on average."""
        width = rows.shape[1]
        if self.dim is None or width <= self.dim:
            return rows
        generator = torch.Generator().manual_seed(self.seed)
        matrix = torch.randn(width, self.dim, generator=generator, device="cpu") / self.dim**0.5
        return rows @ matrix.to(rows)


def greedy_k_centre(
    rows: Float[Tensor, "N D"], count: int, candidates: int = CANDIDATES, chunk: int = CHUNK
) -> Int[Tensor, " count"]:
    """Rows to which the largest distance of any row is at most twice the smallest possible (Gonzalez 1985).

    The first is the farthest from the mean, so that nothing depends on the order of the rows; each further one is the
    farthest from all before. Distances only fall, so that the farthest of some candidates is the farthest of all while
    it is no nearer than any other row was when these were taken. The others are then brought up to date by one matrix
    product for many choices, in a twentieth of the time of one for each.

    Args:
        count: k, at most N.
        candidates: how many of the farthest rows are chosen from at once.
        chunk: distances in memory at once.
    """
    rows = rows - rows.mean(0)  # small numbers, so that products of them tell distances
    far = rows.new_full((len(rows),), torch.inf)  # squared distance to the nearest chosen row; -1 where it is chosen
    chosen = rows.square().sum(1).argmax()[None]
    _bring_near(far, rows, chosen, chunk)
    while len(chosen) < count:
        distances, pool = far.topk(min(candidates, len(rows)))
        further = pool[_farthest(rows[pool], distances, count - len(chosen))]
        _bring_near(far, rows, further, chunk)
        chosen = torch.cat([chosen, further])
    return chosen


def _farthest(pool: Float[Tensor, "M D"], distances: Float[Tensor, " M"], most: int) -> list[int]:
    """Which candidates are chosen one after the other, while it is certain that no row outside the pool is farther.

    Args:
        distances: of the candidates, farthest first; no other row's is above the last.
        most: to be chosen; at least one is.
    """
    between = _squared(pool, pool)
    bound, distances = float(distances[-1]), distances.clone()
    chosen: list[int] = []
    while len(chosen) < min(most, len(pool)):
        place = int(distances.argmax())
        if distances[place] < bound:
            break
        chosen.append(place)
        torch.minimum(distances, between[place], out=distances)
        distances[place] = -1
    return chosen


def _bring_near(far: Float[Tensor, " N"], rows: Float[Tensor, "N D"], chosen: Int[Tensor, " n"], chunk: int) -> None:
    """Take further chosen rows into the distances, in place."""
    step = max(1, chunk // len(chosen))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        torch.minimum(far[part], _squared(rows[part], rows[chosen]).amin(1), out=far[part])
    far[chosen] = -1


def _squared(rows: Float[Tensor, "n D"], others: Float[Tensor, "m D"]) -> Float[Tensor, "n m"]:
    """Squared Euclidean distances, by inner products."""
    products = torch.addmm(others.square().sum(1), rows, others.mT, alpha=-2)
    return products.add_(rows.square().sum(1)[:, None]).clamp_(min=0)
