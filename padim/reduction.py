"""Linear maps that shorten the embedding, one matrix per feature map: a seed in, or a state in, a constant out."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

NAMES = ("none", "random", "semi_orthogonal", "semi_orthogonal_blocks", "pca", "npca")


@dataclass(frozen=True)
class Reduction:
    """What becomes of the C_1 + ... + C_M channels of M feature maps: d values, linear in them.

    Attributes:
        matrices: for each feature map (C_m, d_m), or, where they mix, (C_m, d).
        mixes: the products are added instead of joined, so that every value depends on every feature map: the coarse
            part of the embedding is then shared by no block of positions, and the pyramid is one level.
        learnt: ``pca`` or ``npca`` where the matrices come from a state when the fit is over; until then they are NaN.
    """

    matrices: tuple[Tensor, ...]
    mixes: bool = False
    learnt: str | None = None


def make_reduction(name: str, channels: Sequence[int], dim: SupportsIndex | None = None, seed: int = 0) -> Reduction:
    """The reduction of this name.

    Args:
        name: ``none``: all channels.
            ``random``: a draw of channels, once, without replacement, over the concatenation of all maps, so that it
            is the same for every position (PaDiM, section III-A).
            ``semi_orthogonal``: orthonormal columns, uniformly distributed (Kim et al. 2021, arXiv 2105.14737).
            ``semi_orthogonal_blocks``: such a matrix for each feature map, with its share of the dimensions.
            ``pca``, ``npca``: the principal axes of highest, or of lowest, variance over all images and positions
            (Rippel et al. 2020, arXiv 2005.14140, for the latter), learnt from the state.
        channels: how many channels each feature map has.
        dim: how many dimensions are kept; None for ``none``.
        seed: of the draw, which depends on nothing else, the global random state included.
    """
    dim = _checked(name, channels, dim)
    generator = torch.Generator().manual_seed(seed)
    # everything on the CPU, whatever torch.device is entered: a draw depends on its seed alone
    match name:
        case "random":
            kept = torch.randperm(sum(channels), generator=generator, device="cpu")[:dim].sort().values
            blocks = _split(torch.eye(sum(channels), device="cpu")[:, kept], channels)
            return Reduction(tuple(block[:, block.any(0)] for block in blocks))
        case "semi_orthogonal":
            return Reduction(_split(_orthonormal(sum(channels), dim, generator), channels), mixes=len(channels) > 1)
        case "semi_orthogonal_blocks":
            shares = zip(channels, _shares(channels, dim), strict=True)
            return Reduction(tuple(_orthonormal(size, share, generator) for size, share in shares))
        case "pca" | "npca":
            unknown = tuple(torch.full((size, dim), torch.nan, device="cpu") for size in channels)
            return Reduction(unknown, mixes=True, learnt=name)
    return Reduction(tuple(torch.eye(size, device="cpu") for size in channels))


def principal_axes(name: str, scatter: Float[Tensor, "D D"], dim: int) -> Float[Tensor, "D dim"]:
    """Eigenvectors of a scatter matrix: those of highest variance for ``pca``, of lowest for ``npca``."""
    vectors = torch.linalg.eigh(scatter).eigenvectors  # ascending
    return vectors[:, :dim] if name == "npca" else vectors[:, -dim:]


def _checked(name: str, channels: Sequence[int], dim: SupportsIndex | None) -> int:
    """The number of dimensions that are kept."""
    if name not in NAMES:
        raise ValueError(f"unknown reduction {name!r}; known are {', '.join(NAMES)}")
    total = sum(channels)
    if name == "none":
        if dim is not None:
            raise ValueError(f"reduction none keeps all {total} channels; leave dim={dim} out, or choose random")
        return total
    if not isinstance(dim, SupportsIndex) or isinstance(dim, bool) or not 1 <= index(dim) <= total:
        raise ValueError(
            f"cannot keep {dim} of {total} channels ({' + '.join(map(str, channels))}); "
            f"choose a whole reduction.dim between 1 and {total}, or reduction=none"
        )
    return index(dim)


def _split(matrix: Tensor, channels: Sequence[int]) -> tuple[Tensor, ...]:
    return tuple(block.contiguous() for block in matrix.split(list(channels)))


def _orthonormal(size: int, dim: int, generator: torch.Generator) -> Float[Tensor, "size dim"]:
    """Orthonormal columns, uniform over all such matrices: with R's diagonal positive the QR factors are unique."""
    normal = torch.randn(size, dim, generator=generator, dtype=torch.float64, device="cpu")
    q, r = torch.linalg.qr(normal)
    return (q * r.diagonal().sign()).float()


def _shares(channels: Sequence[int], dim: int) -> list[int]:
    """``dim`` in proportion to the channels, in whole numbers, by the largest remainders."""
    exact = [dim * size / sum(channels) for size in channels]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(channels)), key=lambda m: shares[m] - exact[m])
    for m in by_remainder[: dim - sum(shares)]:
        shares[m] += 1
    return shares


class Projection(nn.Module):
    """One feature map as vectors at its positions, each times a constant matrix.

    Where the matrix only keeps some channels they are gathered: a product with it would read them all. Half precision
    ends here: the statistics' type is that of the matrix.
    """

    matrix: Tensor
    kept: Tensor | None

    def __init__(self, matrix: Float[Tensor, "C d"]) -> None:
        super().__init__()
        square = matrix.shape[0] == matrix.shape[1]
        self.keeps_all = square and torch.equal(matrix, torch.eye(len(matrix), device=matrix.device))
        self.register_buffer("matrix", matrix.clone())
        self.register_buffer("kept", _kept(matrix), persistent=False)
        # A file may bring another draw.
        self.register_load_state_dict_post_hook(_keep)  # type: ignore[no-untyped-call]

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "P B d"]:
        vectors = features.permute(2, 3, 0, 1).flatten(0, 1)  # (P, B, C)
        if self.keeps_all:
            return vectors.to(self.matrix.dtype)
        if self.kept is None or torch.compiler.is_compiling():  # runtimes of graphs are faster at products
            return vectors.to(self.matrix.dtype) @ self.matrix
        return vectors.gather(2, self.kept.expand(*vectors.shape[:2], -1)).to(self.matrix.dtype)


def _kept(matrix: Float[Tensor, "C d"]) -> Int[Tensor, " d"] | None:
    """Which channel each column keeps as it is; None where one does something else."""
    ones = matrix.argmax(0)
    return ones if torch.equal(matrix, functional.one_hot(ones, len(matrix)).mT.to(matrix)) else None


def _keep(projection: Projection, _: object) -> None:
    projection.kept = _kept(projection.matrix)
