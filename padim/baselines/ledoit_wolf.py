"""The shrunk covariance of Ledoit & Wolf from sums over the vectors: one pass, in any order, in parts.

Symbols, as they are used here:

    N   vectors             D   numbers of each             x   a vector             c   x - mean

    S = 1/N sum c c^T,  the shrunk covariance is (1 - s) S + s m I  with  m = tr(S) / D  and

    s = min(1, 1/N (1/N sum |c|^4 - |S|^2) / |S - m I|^2)        (Frobenius norms)

of Ledoit & Wolf 2004, *A well-conditioned estimator for large-dimensional covariance matrices*, section 3.3, as
scikit-learn's ``LedoitWolf``. What it takes of the vectors is ``sum |c|^4`` and S, and these, about another mean, take
``sum |c|^2 c`` besides.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Sums over vectors, about their mean; float64, in which they keep their digits.

    Attributes:
        count: N.
        mean: (D,).
        scatter: ``sum c c^T``, (D, D).
        third: ``sum |c|^2 c``, (D,).
        fourth: ``sum |c|^4``, ().
    """

    count: int
    mean: Tensor
    scatter: Tensor
    third: Tensor
    fourth: Tensor

    def to(self, device: torch.device | str) -> "Moments":
        """The same on another device."""
        tensors = (self.mean, self.scatter, self.third, self.fourth)
        return Moments(self.count, *(tensor.to(device) for tensor in tensors))


def moments_of(vectors: Float64[Tensor, "N D"]) -> Moments:
    """The moments of at least one vector."""
    mean = vectors.mean(0)
    centred = vectors - mean
    squares = centred.square().sum(1)
    return Moments(len(vectors), mean, centred.mT @ centred, squares @ centred, squares.square().sum())


def merge(moments: Moments, other: Moments) -> Moments:
    """The moments of both sets of vectors: about the common mean they add up (Chan, Golub & LeVeque 1979, for S)."""
    count = moments.count + other.count
    mean = moments.mean + other.count / count * (other.mean - moments.mean)
    sums = zip(_about(mean, moments), _about(mean, other), strict=True)
    return Moments(count, mean, *(ours + theirs for ours, theirs in sums))


def _about(point: Tensor, moments: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Scatter, third and fourth sums of the vectors about another point: of c - d, where the sum of c is 0."""
    count, scatter, third = moments.count, moments.scatter, moments.third
    d = point - moments.mean
    length, spread, along = d @ d, scatter.trace(), scatter @ d
    return (
        scatter + count * torch.outer(d, d),
        third - 2 * along - (spread + count * length) * d,
        moments.fourth - 4 * third @ d + 4 * along @ d + 2 * length * spread + count * length**2,
    )


def covariance(moments: Moments) -> Float64[Tensor, "D D"]:
    """The shrunk covariance."""
    empirical = moments.scatter / moments.count
    dimensions = len(empirical)
    scale = empirical.trace() / dimensions
    power = empirical.square().sum()
    distance = power - dimensions * scale**2  # |S - m I|^2
    error = (moments.fourth / moments.count - power) / moments.count
    # No distance, but for rounding: a multiple of the identity already.
    shrinkage = torch.where(distance > 0, error / distance, 1).clamp(0, 1)
    return (1 - shrinkage) * empirical + shrinkage * scale * torch.eye(dimensions).to(empirical)
