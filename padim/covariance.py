"""Estimates of a covariance from own rows (d, D) of a scatter matrix; oas needs the whole matrix, d = D."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

NAMES = ("sample", "diagonal", "oas")
ALL = "all"
"""Pool the statistics of every position."""


@dataclass(frozen=True)
class Covariance:
    """How a position's covariance is estimated.

    Attributes:
        name: ``sample``: scatter / (N - 1) (PaDiM, equation 1). ``diagonal``: its diagonal alone. ``oas``: shrunk
            towards a multiple of the identity (Chen et al. 2010, *Shrinkage Algorithms for MMSE Covariance
            Estimation*, equation 23, as scikit-learn's ``OAS``).
        eps: added to the diagonal. The paper's is 0.01; shrinkage needs none.
        pool: a position counts the images of the pool x pool positions around it, clipped at the border, as images of
            its own; ``all``: of every position.
    """

    name: str = "sample"
    eps: float = 0.01
    pool: int | str = 1

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"unknown covariance {self.name!r}; known are {', '.join(NAMES)}")
        if isinstance(self.eps, str) or not 0 <= self.eps < math.inf:
            raise ValueError(
                f"eps is {self.eps!r}; it is added to variances and must be a number, 0 or more (the paper's is 0.01)"
            )
        if self.pool != ALL and not (isinstance(self.pool, int) and self.pool > 0 and self.pool % 2):
            raise ValueError(f"pool is {self.pool!r}; it must be odd, 1 for none, or {ALL!r}")

    @property
    def shared(self) -> bool:
        """Whether fine positions under one coarse position have the same estimate of the coarse covariance."""
        return self.pool == 1 and self.name != "oas"

    def estimate(self, scatter: Float[Tensor, "*P d D"], count: int | Tensor) -> Float[Tensor, "*P d D"]:
        """Own rows of the covariance.

        Args:
            scatter: own rows of ``sum_i (x_i - mean)(x_i - mean)^T``.
            count: N, the same for all or one for each of P.
        """
        fewest = int(torch.as_tensor(count).min())
        if fewest < 2:
            raise ValueError(f"a covariance needs at least 2 images, found {fewest}; give more training images")
        if isinstance(count, Tensor):
            count = count[:, None, None]
        match self.name:
            case "oas":
                rows = oas(scatter, count)
            case "diagonal":
                rows = torch.zeros_like(scatter)
                _diagonal(rows).copy_(_diagonal(scatter / (count - 1)))
            case _:
                rows = scatter / (count - 1)
        _diagonal(rows).add_(self.eps)
        return rows


def _diagonal(rows: Float[Tensor, "*P d D"]) -> Float[Tensor, "*P d"]:
    """A view of the diagonal of the own channels, the last d of D."""
    own, channels = rows.shape[-2:]
    return rows[..., channels - own :].diagonal(dim1=-2, dim2=-1)


def oas(scatter: Float[Tensor, "*P D D"], count: int | Tensor) -> Float[Tensor, "*P D D"]:
    """``(1 - s) S + s tr(S)/D I``, S = scatter / N, with the oracle-approximating shrinkage s of each position."""
    empirical = scatter / count
    channels = scatter.shape[-1]
    scale = _diagonal(empirical).mean(-1)[..., None, None]  # tr(S) / D
    power = empirical.square().mean((-2, -1), keepdim=True)
    spread = (count + 1) * (power - scale**2 / channels)
    # No spread, but for rounding: a multiple of the identity already.
    shrinkage = torch.where(spread > 0, (power + scale**2) / spread, 1).clamp(max=1)
    shrunk = empirical.mul_(1 - shrinkage)
    _diagonal(shrunk).add_((shrinkage * scale)[..., 0])
    return shrunk
