"""Deep SVDD: the distance from a centre, near which a network learns to put normal images (Ruff et al. 2018, ICML)."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from padim.baselines.passes import training_images
from padim.extractor import require_images
from padim.grids import Grid
from padim.scoring import Prediction
from padim.trained import TrainedMethod

WIDTHS, OUTPUTS = (32, 64, 128), 128
"""Channels of the convolutions, and numbers that an image becomes: the authors' network for CIFAR-10."""
FROM_ZERO = 0.1
"""How far the coordinates of the centre are from 0, at least, as in the authors' code."""


class DeepSVDD(nn.Module):
    """A network phi without bias terms, and the squared distance of what it makes of an image from a fixed centre c.

    score(x) = |phi(x) - c|^2 (equation 5), whose mean over normal images is the loss (equation 4; its weight decay is
    the optimiser's). c is the mean of what the network makes of them before it has learnt anything. Zero weights would
    map all images to 0, and a bias alone to c: so there is no bias, and no coordinate of c is 0 (propositions 1 and 2).
    It does not localise. On MVTec AD the image AUROC is 0.59 (as the authors of Patch SVDD have it, table 1).

    The network is that of the authors for CIFAR-10, its last layer as large as the images need. They first train it as
    an auto-encoder, scale what is normalised to lie from 0 to 1, and lower the learning rate on the way; here the first
    weights are random, nothing is scaled, and the rate is constant.

    Args:
        image_size: height and width of the images.
        seed: of the first weights.

    Attributes:
        centre: c; NaN until it is placed.
    """

    centre: Float[Tensor, " D"]

    def __init__(self, image_size: Grid, seed: int) -> None:
        super().__init__()
        self.image_size = image_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = network(image_size)
        self.register_buffer("centre", torch.full((OUTPUTS,), torch.nan))

    def forward(self, images: Tensor) -> Prediction:
        score = self.squared_distances(images)
        return Prediction(score, score[:, None, None].expand(-1, *self.image_size))

    def loss(self, images: Tensor, generator: Generator) -> Float[Tensor, ""]:
        """The mean score; nothing is drawn."""
        return self.squared_distances(images).mean()

    def squared_distances(self, images: Tensor) -> Float[Tensor, " B"]:
        return (self.mapped(images) - self.centre).square().sum(1)

    def mapped(self, images: Tensor) -> Float[Tensor, "B D"]:
        """phi of the images, uint8 (B, 3, H, W)."""
        require_images(images, self.image_size)
        return self.network(normalised(images))

    @torch.no_grad()
    def place_centre(self, batches: Iterable[Tensor]) -> None:
        """c of the network as it is; batch norm by the batches, since it has no other statistics yet."""
        self.train()
        outputs = torch.cat([self.mapped(images) for images in batches])
        self.centre = off_zero(outputs.mean(0))


def network(size: Grid) -> nn.Sequential:
    """(B, 3, H, W) to (B, 128), zeros to zeros.

    Raises:
        ValueError: sides that three halvings do not divide.
    """
    step = 2 ** len(WIDTHS)
    if any(side % step for side in size):
        raise ValueError(f"images of {list(size)} pixels: method=deep_svdd takes multiples of {step} pixels; change "
                         "dataset.image_size")  # fmt: skip
    layers: list[nn.Module] = []
    for channels, width in zip((3, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(channels, width, 5, padding=2, bias=False), nn.BatchNorm2d(width, affine=False)]
        layers += [nn.LeakyReLU(0.1), nn.MaxPool2d(2)]
    cells = (size[0] // step) * (size[1] // step)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * cells, OUTPUTS, bias=False))


def normalised(images: Tensor) -> Float[Tensor, "B 3 H W"]:
    """Each image less its mean, over its mean absolute deviation: global contrast normalisation (section 4.2).

    An image of one colour is 0 everywhere.
    """
    values = images.float()
    values = values - values.mean((1, 2, 3), keepdim=True)
    deviation = values.abs().mean((1, 2, 3), keepdim=True)
    return values / deviation.where(deviation > 0, 1)


def off_zero(centre: Float[Tensor, " D"]) -> Float[Tensor, " D"]:
    """Coordinates nearer to 0 than :data:`FROM_ZERO` are moved to it, on their own side."""
    least = torch.full_like(centre, FROM_ZERO).where(centre >= 0, -FROM_ZERO)
    return torch.where(centre.abs() < FROM_ZERO, least, centre)


class DeepSVDDModule(TrainedMethod):
    """Deep SVDD as a LightningModule.

    Args:
        image_size: height and width of the images.
        learning_rate, weight_decay: see :class:`padim.trained.TrainedMethod`.
        seed: of the first weights.
    """

    name, localises, peak = "deep_svdd", False, False
    model: DeepSVDD

    def __init__(self, image_size: list[int], learning_rate: float, weight_decay: float, seed: int) -> None:
        super().__init__(learning_rate, weight_decay, seed)
        self.save_hyperparameters(logger=False)
        self.model = DeepSVDD(self.image_size, seed)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self.model.centre.isnan().all():  # it is not where an interrupted training goes on
            self.model.place_centre(training_images(self))
