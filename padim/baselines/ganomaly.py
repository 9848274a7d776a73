"""GANomaly: images whose reconstruction has another latent (Akcay et al. 2018, arXiv 1805.06725)."""

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from padim.extractor import require_images
from padim.grids import Grid
from padim.scoring import Prediction
from padim.trained import TrainedMethod

LAST = 4, 8
"""Sides of the last grid: halved no further from the first on, and no larger than the second."""


class Weights(NamedTuple):
    """Of the parts of the loss."""

    adversarial: float
    contextual: float
    encoder: float


class GANomaly(nn.Module):
    """An encoder, a decoder and a second encoder, against a discriminator, in DCGAN's layers (arXiv 1511.06434).

    An image x becomes a latent z = G_E(x) of d numbers, that an image y = G_D(z), and that a latent z' = E(y). With f
    what the discriminator D makes of an image before its last layer, these three networks learn by

        w_adv |f(x) - f(y)|^2 + w_con |x - y|_1 + w_enc |z - z'|^2,

    each a mean over the elements (equations 1 to 4), and D learns to tell x from y by cross entropy. The score of an
    image is |z - z'|_1 (equation 5). It does not localise. The authors stretch the scores of a test set to [0, 1]: here
    they stay as they are. Their code, but not the paper, draws a discriminator anew once it has won: here it goes on.

    The authors did not test it on MVTec AD; others report an image AUROC of 0.762 (PaDiM, table V).

    Args:
        image_size: height and width of the images.
        latent: d.
        channels: of the first layer; each halving of the grid doubles them.
        weights: w_adv, w_con and w_enc.
        seed: of the first weights.
    """

    def __init__(self, image_size: Grid, latent: int, channels: int, weights: Weights, seed: int) -> None:
        super().__init__()
        grids = halved(image_size)
        self.image_size, self.weights = image_size, weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder, self.decoder = encoder(grids, channels, latent), decoder(grids, channels, latent)
            self.second_encoder, self.discriminator = encoder(grids, channels, latent), encoder(grids, channels, 1)
            self.apply(draw)

    @property
    def generator(self) -> list[nn.Parameter]:
        """What learns against the discriminator."""
        networks = nn.ModuleList([self.encoder, self.decoder, self.second_encoder])
        return list(networks.parameters())

    def forward(self, images: Tensor) -> Prediction:
        _, latent, again = self.generate(self.scaled(images))
        score = (latent.float() - again.float()).abs().sum(1)  # in mixed precision as well
        return Prediction(score, score[:, None, None].expand(-1, *self.image_size))

    def loss(self, images: Tensor, generator: Generator) -> Float[Tensor, ""]:
        """Of encoder, decoder and second encoder; nothing is drawn."""
        given = self.scaled(images)
        made, latent, again = self.generate(given)
        features = self.discriminator[:-1]
        weights = self.weights
        return (
            weights.adversarial * functional.mse_loss(features(made), features(given))
            + weights.contextual * functional.l1_loss(made, given)
            + weights.encoder * functional.mse_loss(again, latent)
        )

    def discriminator_loss(self, images: Tensor, generator: Generator) -> Float[Tensor, ""]:
        """Of the discriminator alone: cross entropy, half of it of the images and half of what is made of them."""
        given = self.scaled(images)
        with torch.no_grad():
            made, _, _ = self.generate(given)
        real, fake = self.discriminator(given), self.discriminator(made)
        return (functional.softplus(-real).mean() + functional.softplus(fake).mean()) / 2

    def scaled(self, images: Tensor) -> Float[Tensor, "B 3 H W"]:
        """To [-1, 1], as the decoder makes them."""
        require_images(images, self.image_size)
        return images / 127.5 - 1

    def generate(
        self, images: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B d"], Float[Tensor, "B d"]]:
        """y, z and z'."""
        latent = self.encoder(images)
        made = self.decoder(latent)
        return made, latent.flatten(1), self.second_encoder(made).flatten(1)


def halved(image_size: Grid) -> list[Grid]:
    """The grids that the strides go through, fine first.

    Raises:
        ValueError: sides that come to no small whole number by halving.
    """
    (height, width), grids = image_size, []
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > LAST[0]:
        height, width = height // 2, width // 2
        grids.append((height, width))
    if not grids or max(height, width) > LAST[1]:
        raise ValueError(
            f"images of {list(image_size)} pixels: halved as often as they can be they have {height} x {width}, and "
            f"GANomaly takes at most {LAST[1]} x {LAST[1]}; change dataset.image_size, to 64 x 64 or another power of 2"
        )
    return grids


def encoder(grids: list[Grid], channels: int, out: int) -> nn.Sequential:
    """(B, 3, H, W) to (B, out, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for _ in grids[1:]:
        layers += [nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * channels)]
        layers.append(nn.LeakyReLU(0.2))
        channels *= 2
    return nn.Sequential(*layers, nn.Conv2d(channels, out, grids[-1], bias=False))


def decoder(grids: list[Grid], channels: int, latent: int) -> nn.Sequential:
    """(B, latent, 1, 1) to (B, 3, H, W)."""
    channels *= 2 ** (len(grids) - 1)
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent, channels, grids[-1], bias=False)]
    layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    for _ in grids[1:]:
        layers += [nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(channels // 2)]
        layers.append(nn.ReLU())
        channels //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh())


def draw(layer: nn.Module) -> None:
    """DCGAN's first weights."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


class GANomalyModule(TrainedMethod):
    """GANomaly as a LightningModule.

    Args:
        image_size: height and width of the images.
        latent, channels: see :class:`GANomaly`.
        weights: ``adversarial``, ``contextual`` and ``encoder``.
        learning_rate: of both optimisers.
        seed: of the first weights.
    """

    name, localises, peak = "ganomaly", False, False
    model: GANomaly

    def __init__(
        self,
        image_size: list[int],
        latent: int,
        channels: int,
        weights: dict[str, float],
        learning_rate: float,
        seed: int,
    ) -> None:
        super().__init__(learning_rate, 0.0, seed)
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False
        self.model = GANomaly(self.image_size, latent, channels, Weights(**weights), seed)

    def configure_optimizers(self) -> Any:
        learners = (self.model.generator, self.model.discriminator.parameters())
        return [torch.optim.Adam(learner, lr=self.learning_rate, betas=(0.5, 0.999)) for learner in learners]

    def learn(self, images: Tensor, generator: Generator) -> Tensor:
        """One step of each optimiser; the generator's loss."""
        losses = []
        for optimiser, loss in zip(
            cast(Any, self.optimizers()), (self.model.loss, self.model.discriminator_loss), strict=True
        ):
            losses.append(loss(images, generator))
            optimiser.zero_grad()
            self.manual_backward(losses[-1])
            optimiser.step()
        self.log("discriminator_loss", losses[1])
        return losses[0].detach()
