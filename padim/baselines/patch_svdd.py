"""Patch SVDD: the distance of each patch to the nearest normal one, of vectors learnt for it (arXiv 2006.16067)."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor, nn
from torch.nn import functional

from padim.baselines.gallery import Gallery
from padim.baselines.passes import training_images
from padim.baselines.patch_encoder import BIG, DIMENSIONS, SMALL, STRIDE, PatchEncoder, PositionClassifier
from padim.baselines.patch_pairs import Pairs, jittered, positioned, require_room
from padim.extractor import require_images
from padim.grids import Grid
from padim.precision import full_precision, require_finite
from padim.scoring import Prediction, image_score
from padim.trained import TrainedMethod

SIDES = (BIG, SMALL)


class PatchSVDD(nn.Module):
    """Patches of two sizes to vectors f, which are learnt, and their distances to those of normal patches (Yi & Yoon).

    For each size, with p' a patch that lies a few pixels from p, and p2 one at position y of eight around p1, f and a
    classifier C minimise the mean of

        lambda |f(p) - f(p')| + cross-entropy(y, C(f(p1) - f(p2)))

    without which all patches would have one vector (section 3). The distance of a patch is |f(p) - f(q)|, q the nearest
    of the training images' patches. A map has at each pixel the mean over the patches that hold it; those of the two
    sizes, multiplied, are the anomaly map, and its maximum is the score (section 3.4).

    The authors' figures on MVTec AD are an image AUROC of 0.921 and a pixel AUROC of 0.957. As in their code the mean
    training image is taken off, and patches whose position is asked for have their colours perturbed. Unlike there,
    where a second patch that would lie beyond the border was moved back, first patches are drawn where it has room.

    The model holds a vector for each patch of the training images.

    Args:
        image_size: height and width of the images.
        svdd_weight: lambda.
        pairs: of patches that an image of a batch gives to each loss of each size.
        strides: pixels from a big patch to the next, and from a small one to the next.
        seed: of the first weights.

    Attributes:
        mean: of the training images; NaN until they are known.
    """

    mean: Float[Tensor, "3 H W"]

    def __init__(self, image_size: Grid, svdd_weight: float, pairs: int, strides: Sequence[int], seed: int) -> None:
        super().__init__()
        require_room(image_size, BIG)
        if not svdd_weight >= 0 or pairs < 1:
            raise ValueError(f"model.svdd_weight={svdd_weight} must be 0 or more, model.pairs={pairs} 1 or more")
        require_strides(strides)
        self.image_size, self.svdd_weight, self.pairs, self.strides = image_size, svdd_weight, pairs, strides
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = PatchEncoder()
            self.classifiers = nn.ModuleList([PositionClassifier() for _ in SIDES])
        self.galleries = cast("Sequence[Gallery]", nn.ModuleList([Gallery(DIMENSIONS) for _ in SIDES]))
        self.register_buffer("mean", torch.full((3, *image_size), torch.nan))
        for side, stride in zip(SIDES, strides, strict=True):
            for axis, size in zip(("rows", "columns"), image_size, strict=True):
                matrix = coverage(size, side, stride)
                self.register_buffer(f"{axis}{side}", matrix.float(), persistent=False)

    def prepared(self, images: Tensor) -> Float[Tensor, "B 3 H W"]:
        """Without the mean, of 1."""
        require_images(images, self.image_size)
        return (images - self.mean) / 255

    def loss(self, images: Tensor, generator: Generator) -> Float[Tensor, ""]:
        """Of pairs drawn from the images, the sum over both sizes."""
        prepared, total = self.prepared(images), images.new_zeros((), dtype=torch.float32)
        for side, classifier in zip(SIDES, self.classifiers, strict=True):
            pairs, where = positioned(prepared, side, self.pairs, generator)
            total = total + functional.cross_entropy(classifier(*self.encoded(pairs)), where)
            first, second = self.encoded(jittered(prepared, side, self.pairs, generator))
            total = total + self.svdd_weight * (first - second).norm(dim=1).mean()
        return total

    def encoded(self, pairs: Pairs) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
        first, second = self.encoder(torch.cat(pairs)).chunk(2)
        return first, second

    def vectors(self, images: Tensor) -> list[Float[Tensor, "B D _ _"]]:
        """Of the patches of each size, at its stride."""
        dense = self.encoder.dense(self.prepared(images))
        return [of[..., :: s // STRIDE, :: s // STRIDE] for of, s in zip(dense, self.strides, strict=True)]

    def forward(self, images: Tensor) -> Prediction:
        product = torch.ones(len(images), *self.image_size, device=images.device)
        for side, gallery, vectors in zip(SIDES, self.galleries, self.vectors(images), strict=True):
            squared, _ = gallery.nearest(_rows(vectors), 1)
            distances = squared.sqrt().view(len(vectors), *vectors.shape[2:])
            rows, columns = getattr(self, f"rows{side}"), getattr(self, f"columns{side}")
            with full_precision(images.device):
                product = product * (rows @ distances @ columns.mT)
        return Prediction(image_score(product), product)

    def place_mean(self, batches: Iterable[Tensor]) -> None:
        total, count = torch.zeros_like(self.mean, dtype=torch.float64), 0
        for images in batches:
            total, count = total + images.sum(0), count + len(images)
        self.mean = (total / count).float()

    @torch.no_grad()
    def remember(self, batches: Iterable[Tensor]) -> None:
        """Keep the vectors of the patches of these images, for them to be searched."""
        for images in batches:
            for gallery, vectors in zip(self.galleries, map(_rows, self.vectors(images)), strict=True):
                require_finite([vectors[None]])
                gallery.add(vectors)
        for gallery in self.galleries:
            gallery.finalise()


def require_strides(strides: Sequence[int]) -> None:
    """Raise unless every pixel is in a patch, and every patch among those of one run of the convolutions."""
    allowed = [range(STRIDE, side + 1, STRIDE) for side in SIDES]
    if len(strides) != 2 or any(stride not in able for stride, able in zip(strides, allowed, strict=True)):
        raise ValueError(
            f"model.strides={list(strides)}; give two multiples of {STRIDE} pixels, up to {BIG} and up to {SMALL}"
        )


def _rows(vectors: Float[Tensor, "B D h w"]) -> Float[Tensor, "_ D"]:
    return vectors.permute(0, 2, 3, 1).flatten(0, 2)


def coverage(size: int, side: int, stride: int) -> Float64[Tensor, "size cells"]:
    """Of one axis: the mean over the patches that hold a pixel, and beyond the last patch that patch."""
    begin = stride * torch.arange((size - side) // stride + 1, device="cpu")
    pixel = torch.arange(size, device="cpu").clamp(max=int(begin[-1]) + side - 1)[:, None]
    holds = ((begin <= pixel) & (pixel < begin + side)).double()
    return holds / holds.sum(1, keepdim=True)


class PatchSVDDModule(TrainedMethod):
    """Patch SVDD as a LightningModule.

    Args:
        image_size: height and width of the images.
        svdd_weight, pairs, strides: see :class:`PatchSVDD`.
        learning_rate, weight_decay: see :class:`padim.trained.TrainedMethod`.
        seed: of the first weights, and of the patches that are drawn.
    """

    name = "patch_svdd"
    model: PatchSVDD

    def __init__(
        self,
        image_size: list[int],
        svdd_weight: float,
        pairs: int,
        strides: list[int],
        learning_rate: float,
        weight_decay: float,
        seed: int,
    ) -> None:
        super().__init__(learning_rate, weight_decay, seed)
        self.save_hyperparameters(logger=False)
        self.model = PatchSVDD(self.image_size, svdd_weight, pairs, strides, seed)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self.model.mean.isnan().all():  # it is not where an interrupted training goes on
            self.model.place_mean(training_images(self))

    def on_train_end(self) -> None:
        super().on_train_end()
        self.model.remember(training_images(self))
