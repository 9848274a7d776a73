"""The convolutional auto-encoder of AE-L2 and AE-SSIM (Bergmann et al. 2018, arXiv 1807.02011, table 1)."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from padim.extractor import require_images
from padim.grids import Grid
from padim.scoring import Prediction, anomaly_map, image_score, smoothing_matrix

SIDE = 128
"""Of the paper's images, pixels."""


class Autoencoder(ABC, nn.Module):
    """Images through a bottleneck of d numbers; what comes out otherwise than it went in is the anomaly map.

    Fitted to normal images it knows how to write down those alone. The score is the maximum of the map. The authors do
    not smooth it, which is ``sigma=0``.

    The paper's four convolutions of stride 2 take 128 x 128 pixels to 8 x 8 positions; larger images have one more for
    each doubling, as the objects of MVTec AD have at 256 x 256 (Bergmann et al. 2019, CVPR, section 4.1.2).

    Args:
        image_size: height and width of the images.
        channels: C, of what is reconstructed.
        latent: d.
        sigma: of the Gaussian that smooths the map, pixels.
        seed: of the first weights.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, image_size: Grid, channels: int, latent: int, sigma: float, seed: int) -> None:
        super().__init__()
        if latent < 1:
            raise ValueError(f"model.latent={latent}; it must be 1 or more")
        self.image_size = image_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder, self.decoder = encoder_and_decoder(image_size, channels, latent)
        for name, side in zip(("rows", "columns"), image_size, strict=True):
            self.register_buffer(name, smoothing_matrix(side, side, sigma, "bicubic").float(), persistent=False)

    @abstractmethod
    def prepared(self, images: Tensor) -> Float[Tensor, "B C H W"]:
        """What is reconstructed of images, from 0 to 1."""

    @abstractmethod
    def difference(self, one: Float[Tensor, "B C H W"], other: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
        """How far one is from the other, at each pixel."""

    def forward(self, images: Tensor) -> Prediction:
        smoothed = anomaly_map(self.residual(images), self.rows, self.columns)
        return Prediction(image_score(smoothed), smoothed)

    def loss(self, images: Tensor, generator: Generator) -> Float[Tensor, ""]:
        """The mean of the map, not smoothed; nothing is drawn."""
        return self.residual(images).mean()

    def residual(self, images: Tensor) -> Float[Tensor, "B H W"]:
        """How far the reconstruction is from the images."""
        require_images(images, self.image_size)
        given = self.prepared(images)
        return self.difference(given, self.decoder(self.encoder(given)))


def encoder_and_decoder(image_size: Grid, channels: int, latent: int) -> tuple[nn.Sequential, nn.Sequential]:
    """(B, C, H, W) to (B, d, 1, 1), and back.

    Raises:
        ValueError: sides that the strides do not divide.
    """
    doublings = max(0, math.ceil(math.log2(max(image_size) / SIDE)))
    stride = 2 ** (4 + doublings)
    if any(side % stride for side in image_size):
        raise ValueError(
            f"images of {list(image_size)} pixels: at this size the auto-encoder takes multiples of {stride} pixels; "
            "change dataset.image_size"
        )
    grid = (image_size[0] // stride, image_size[1] // stride)
    encoder = [_down(channels, 32), _down(32, 32), *(_down(32, 32) for _ in range(doublings)), _same(32, 32)]
    encoder += [_down(32, 64), _same(64, 64), _down(64, 128), _same(128, 64), _same(64, 32)]
    decoder = [nn.ConvTranspose2d(latent, 32, grid), _same(32, 64), _same(64, 128), _up(128, 64), _same(64, 64)]
    decoder += [_up(64, 32), _same(32, 32), *(_up(32, 32) for _ in range(doublings)), _up(32, 32), _up(32, channels)]
    return _activated([*encoder, nn.Conv2d(32, latent, grid)]), _activated(decoder)


def _down(channels: int, out: int) -> nn.Module:
    return nn.Conv2d(channels, out, kernel_size=4, stride=2, padding=1)


def _same(channels: int, out: int) -> nn.Module:
    return nn.Conv2d(channels, out, kernel_size=3, padding=1)


def _up(channels: int, out: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, out, kernel_size=4, stride=2, padding=1)


def _activated(layers: list[nn.Module]) -> nn.Sequential:
    """A leaky ReLU after each but the last, which is linear."""
    parts = [part for layer in layers for part in (layer, nn.LeakyReLU(0.2))]
    return nn.Sequential(*parts[:-1])
