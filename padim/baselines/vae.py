"""VAE: what cannot be reconstructed from a latent that normal images fill, PaDiM's own baseline (arXiv 2011.08785)."""

import math
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from padim.backbone import Backbone
from padim.execution import feature_maps
from padim.extractor import require_images
from padim.grids import Grid
from padim.scoring import Prediction, anomaly_map, image_score, smoothing_matrix
from padim.trained import TrainedMethod


class Encoder(Backbone):
    """A backbone that learns, batch norm included, and so runs as it is."""

    def train(self, mode: bool = True) -> "Encoder":
        return super(Backbone, self).train(mode)

    def forward(self, images: Tensor) -> list[Tensor]:
        return feature_maps(self.network, self.indices)(images)


class VAE(nn.Module):
    """A variational auto-encoder (Kingma & Welling 2014, arXiv 1312.6114) whose latent is a map.

    The encoder's last feature map A, of stride 32, gives the mean and the log variance of q(z | x) at each position by
    a 1x1 convolution. With |x| in [0, 1], x' decoded from a z drawn from q, and the prior N(0, I), it learns by

        |x - x'|^2 + beta KL(q(z | x) | prior),

    beta = 1 being the evidence lower bound of a Gaussian of variance 1/2 about x'. The distance of a pixel is
    |x - x'|^2 over its colours, x' of the mean of q; the image's score is the maximum of the smoothed map.

    On MVTec AD the authors report pixel AUROC 0.744 and PRO 0.642, of bottle 0.831 and 0.705 (table III). They give an
    8x8 latent and ResNet18 as encoder. They do not say what its weights start from: here from those of the backbone,
    random or trained. Nor do they give the latent's channels, the decoder, or whether the map is smoothed. This decoder
    is a mirror of the encoder, with half the channels at twice the resolution, one 3x3 convolution each.

    Args:
        encoder: of one feature map.
        latent: channels of z.
        kl_weight: beta.
        sigma: of the Gaussian that smooths the map, pixels.
        seed: of the random weights.
    """

    mean: Tensor
    std: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, encoder: Encoder, latent: int, kl_weight: float, sigma: float, seed: int) -> None:
        super().__init__()
        if len(encoder.channels) != 1:
            raise ValueError(f"layers.stages gives {len(encoder.channels)} feature maps; the latent is made of one")
        if latent < 1 or kl_weight < 0:
            raise ValueError(f"model.latent={latent} must be 1 or more, model.kl_weight={kl_weight} 0 or more")
        (channels,), self.kl_weight = encoder.channels, kl_weight
        self.encoder = encoder.requires_grad_(True).train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.posterior = nn.Conv2d(channels, 2 * latent, 1)
            self.decoder = decoder(latent, channels, mirrored(encoder.image_size, encoder.grids[0]))
        self.register_buffer("mean", torch.tensor(encoder.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(encoder.std)[:, None, None])
        for name, size, grid in zip(("rows", "columns"), encoder.image_size, self.grid, strict=True):
            matrix = smoothing_matrix(size, grid, sigma, "bicubic")
            self.register_buffer(name, matrix.float(), persistent=False)

    @property
    def grid(self) -> Grid:
        """Of the distances."""
        return self.encoder.image_size

    def forward(self, images: Tensor) -> Prediction:
        smoothed = anomaly_map(self.distances(images), self.rows, self.columns)
        return Prediction(image_score(smoothed), smoothed)

    def distances(self, images: Tensor) -> Float[Tensor, "B h w"]:
        """Of the pixels, not yet smoothed."""
        mean, _ = self.encode(self.features(images))
        return (images / 255 - self.decoder(mean)).square().sum(1)

    def features(self, images: Tensor) -> Float[Tensor, "B C h w"]:
        """The encoder's last feature map, A."""
        require_images(images, self.encoder.image_size)
        normalised = (images.to(memory_format=torch.channels_last) / 255 - self.mean) / self.std
        (features,) = self.encoder(normalised)
        return features

    def encode(self, features: Float[Tensor, "B C h w"]) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, (B, latent, h, w)."""
        mean, log_variance = self.posterior(features).chunk(2, 1)
        return mean, log_variance

    def loss(self, images: Tensor, generator: Generator) -> Tensor:
        """Negative evidence lower bound, but for a constant; the mean of the images."""
        mean, log_variance = self.encode(self.features(images))
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        reconstruction = self.decoder(mean + (log_variance / 2).exp() * noise)
        squared = (images / 255 - reconstruction).square().sum((1, 2, 3))
        return (squared + self.kl_weight * divergence(mean, log_variance)).mean()


def divergence(mean: Float[Tensor, "B z *grid"], log_variance: Float[Tensor, "B z *grid"]) -> Float[Tensor, " B"]:
    """KL(N(mean, variance) | N(0, I)) = 1/2 sum of mean^2 + variance - 1 - log variance (Kingma & Welling, app. B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2


def mirrored(size: Grid, grid: Grid) -> list[Grid]:
    """The grids that an encoder went through from ``size`` to ``grid``, backwards, without ``grid`` itself."""
    steps = max(math.ceil(math.log2(side / cells)) for side, cells in zip(size, grid, strict=True))
    return [(-(-size[0] // 2**step), -(-size[1] // 2**step)) for step in reversed(range(steps))]


def decoder(latent: int, width: int, grids: list[Grid]) -> nn.Sequential:
    """Latent (B, latent, h, w) to images (B, 3, H, W) in [0, 1]. Resized, convolved: no chequerboard."""
    layers: list[nn.Module] = [nn.Conv2d(latent, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for grid in grids[:-1]:
        layers += [nn.Upsample(grid), nn.Conv2d(width, width // 2, 3, padding=1, bias=False)]
        width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Upsample(grids[-1]), nn.Conv2d(width, 3, 3, padding=1), nn.Sigmoid())


class VAEModule(TrainedMethod):
    """The VAE as a LightningModule.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        layers: ``stages``, which feature map the latent is made of.
        image_size: height and width of the images.
        latent, kl_weight, sigma: see :class:`VAE`.
        learning_rate: of Adam.
        seed: of random weights and noise.
    """

    name = "vae"
    network: ClassVar[type[VAE]] = VAE
    model: VAE

    def __init__(
        self,
        backbone: dict[str, Any],
        layers: dict[str, Any],
        image_size: list[int],
        latent: int = 64,
        kl_weight: float = 1.0,
        sigma: float = 4.0,
        learning_rate: float = 1e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(learning_rate, 0.0, seed)
        self.save_hyperparameters(logger=False)
        height, width = image_size
        encoder = Encoder(**backbone, stages=layers["stages"], image_size=(height, width))
        self.model = self.network(encoder, latent, kl_weight, sigma, seed)
