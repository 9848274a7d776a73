"""Which channels of the concatenated embedding are kept: a seed in, a constant out."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

NAMES = ("none", "random")


def draw_channels(name: str, channels: Sequence[int], dim: int | None, seed: int) -> list[Tensor]:
    """Kept channels of each feature map.

    Args:
        name: ``none`` keeps all; ``random`` draws once, without replacement, over the concatenation of all maps
            (PaDiM, section III-A), so that it is the same for every position.
        channels: how many channels each feature map has.
        dim: how many to draw; only for ``random``.
        seed: of the draw, which depends on nothing else, the global random state included.

    Returns:
        For each feature map the sorted indices of its kept channels; there may be none.
    """
    if name not in NAMES:
        raise ValueError(f"unknown reduction {name!r}; known are {', '.join(NAMES)}")
    total = sum(channels)
    if name == "none":
        if dim is not None:
            raise ValueError(f"reduction none keeps all {total} channels; leave dim={dim} out, or choose random")
        kept = torch.arange(total)
    else:
        if dim is None or not 1 <= dim <= total:
            raise ValueError(
                f"cannot keep {dim} of {total} channels ({' + '.join(map(str, channels))}); "
                f"choose reduction.dim between 1 and {total}, or reduction=none"
            )
        kept = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:dim].sort().values
    starts = [sum(channels[:i]) for i in range(len(channels))]
    return [kept[(kept >= s) & (kept < s + c)] - s for s, c in zip(starts, channels, strict=True)]


class Projection(nn.Module):
    """One feature map as vectors at its positions, of its kept channels.

    Keeping is a product with a one-hot matrix: out of channels-last maps several times faster than indexing.
    """

    matrix: Tensor

    def __init__(self, channels: int, kept: Tensor) -> None:
        super().__init__()
        self.keeps_all = len(kept) == channels
        self.register_buffer("matrix", torch.eye(channels)[:, kept])

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "P B d"]:
        vectors = features.permute(2, 3, 0, 1).flatten(0, 1)
        return vectors if self.keeps_all else vectors @ self.matrix
