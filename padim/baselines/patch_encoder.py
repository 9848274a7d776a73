"""The networks of Patch SVDD (Yi & Yoon 2020, arXiv 2006.16067): patches to vectors, pairs to positions."""

from itertools import repeat

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SMALL, BIG = 32, 64
"""Sides of the patches, pixels."""
WIDTHS = (32, 64, 128, 128, 64, 32, 32)
"""Channels of the convolutions between an image and its vectors."""
DIMENSIONS = 64
"""Of a vector."""
STRIDE = 2
"""Pixels between patches whose vectors one run of the convolutions gives."""
POSITIONS = 8
"""Around a patch."""


class PatchEncoder(nn.Module):
    """f_small of patches of 32 pixels, and f_big of 64, which is made of f_small of the quarters (section 3.3).

    No convolution pads, and so the vectors of all patches of an image are those of one run over the image: the same
    numbers from a twentieth of the products. The first weights keep the variance of what they are given (He et al.
    2015, arXiv 1502.01852): torch's own leave nearly nothing of a patch after ten layers.
    """

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, *WIDTHS, DIMENSIONS), (STRIDE, *(1 for _ in WIDTHS))
        layers = map(nn.Conv2d, widths[:-1], widths[1:], repeat(3), strides)
        parts = [part for layer in layers for part in (layer, nn.LeakyReLU(0.1))]
        self.small = nn.Sequential(*parts[:-1], nn.Tanh())
        self.joined = nn.Conv2d(DIMENSIONS, 2 * DIMENSIONS, 2)
        self.last = nn.Conv2d(2 * DIMENSIONS, DIMENSIONS, 1)
        for layer in (*self.small[::2], self.joined, self.last):
            nn.init.kaiming_normal_(layer.weight, a=0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, patches: Float[Tensor, "N 3 K K"]) -> Float[Tensor, "N D"]:
        """The vectors of patches of one of the two sizes."""
        if patches.shape[2] == SMALL:
            return self.small(patches).flatten(1)
        quarters = patches.unflatten(3, (2, SMALL)).unflatten(2, (2, SMALL)).permute(0, 2, 4, 1, 3, 5)
        small = self.small(quarters.flatten(0, 2)).view(len(patches), 2, 2, -1)
        return self.big(small.permute(0, 3, 1, 2), 1).flatten(1)

    def dense(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B D _ _"], Float[Tensor, "B D _ _"]]:
        """Vectors of the patches that begin at every second pixel, of the big ones and of the small ones."""
        rows, columns = ((size - SMALL) // STRIDE + 1 for size in images.shape[2:])
        small = self.small(images)[..., :rows, :columns]  # one more where the size is odd, beyond the last patch
        return self.big(small, SMALL // STRIDE), small

    def big(self, small: Float[Tensor, "B D _ _"], apart: int) -> Float[Tensor, "B D _ _"]:
        """Of patches whose quarters lie so many places apart."""
        rectified = functional.leaky_relu(small, 0.1)
        joined = functional.conv2d(rectified, self.joined.weight, self.joined.bias, dilation=apart)
        return torch.tanh(self.last(functional.leaky_relu(joined, 0.1)))


class PositionClassifier(nn.Module):
    """C: at which of eight positions around the first patch the second lies, from the difference of their vectors."""

    def __init__(self) -> None:
        super().__init__()
        first, second, last = nn.Linear(DIMENSIONS, 128), nn.Linear(128, 128), nn.Linear(128, POSITIONS)
        self.layers = nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.LeakyReLU(0.1), last)

    def forward(self, first: Float[Tensor, "N D"], second: Float[Tensor, "N D"]) -> Float[Tensor, "N 8"]:
        """Logits."""
        return self.layers(first - second)
