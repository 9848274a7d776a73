"""How far the distances of normal images are from the law that Gaussian embeddings would obey."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from padim.chi_squared import chi_squared_quantiles, hotelling_above, hotelling_quantiles
from padim.data.samples import ImageDataset
from padim.head import Head
from padim.method import Method
from padim.run_page.rescoring import Rescored, rescored

Numbers = npt.NDArray[np.float64]

IMAGES = 16
"""At most; each gives thousands of positions."""
TAILS = np.array([0.05, 0.01, 0.001])
PROBABILITIES: Numbers = np.concatenate(
    [np.linspace(0.001, 0.009, 9), np.linspace(0.01, 0.99, 99), np.linspace(0.991, 0.999, 9)]
)
CHI_SQUARED, HOTELLING, OBSERVED = "chi_squared", "hotelling", "observed"


class Reading(NamedTuple):
    """Squared distances of normal patches, of one Gaussian model.

    Attributes:
        images, patches: how many were read.
        channels: D.
        fitted: N, the images that the model was fitted to.
        quantiles: by law, where it is known, and observed: of the squared distances at :data:`PROBABILITIES`.
        above: likewise, the share above the chi-squared's quantiles of 1 - :data:`TAILS`.
        remark: what is known of the law.
    """

    images: int
    patches: int
    channels: int
    fitted: int
    quantiles: dict[str, Numbers]
    above: dict[str, Numbers]
    remark: str

    @property
    def medians(self) -> dict[str, float]:
        return {law: float(values[len(PROBABILITIES) // 2]) for law, values in self.quantiles.items()}


def read_distances(
    module: Method, dataset: ImageDataset, indices: Sequence[int], batch_size: int
) -> dict[str, Reading | None]:
    """A reading of each Gaussian model by the names of its feature maps; none for a method that has none, or no images.

    It is None where no patch lies within its image: of elongated images each may have padding in it.

    Args:
        indices: of normal images that were not fitted; up to :data:`IMAGES` of them, evenly spaced, are read.
    """
    heads = [one for one in module.modules() if isinstance(one, Head)]
    count = min(len(indices), IMAGES)
    chosen = [indices[i * len(indices) // count] for i in range(count)]
    if not heads or not chosen:
        return {}
    batches = [_squared(one, heads) for one in rescored(module, dataset, chosen, batch_size)]
    names = iter(module.levels)
    named = [" + ".join(next(names) for _ in head.levels) for head in heads]
    of_heads = zip(named, heads, zip(*batches, strict=True), strict=True)
    return {name: _read(len(chosen), head, np.concatenate(squared)) for name, head, squared in of_heads}


def _squared(batch: Rescored, heads: Sequence[Head]) -> list[Numbers]:
    """Of each head the squared distances of the patches that lie within their images."""
    valid = torch.stack([item.valid for item in batch.items]).float()
    distances = iter(batch.prediction.level_distances)
    return [_within(torch.stack([next(distances) for _ in head.levels]).sum(0), valid) for head in heads]


def _within(distance: Tensor, valid: Tensor) -> Numbers:
    inside = functional.adaptive_avg_pool2d(valid, (distance.shape[1], distance.shape[2])) == 1
    return distance[inside].double().square().numpy()


def _read(images: int, head: Head, squared: Numbers) -> Reading | None:
    if not len(squared):
        return None
    channels, fitted = sum(level.bias.shape[1] for level in head.levels), int(head.fitted)
    known, remark = _law(head, channels, fitted)
    quantiles = {CHI_SQUARED: chi_squared_quantiles(PROBABILITIES, channels)}
    limits, above = chi_squared_quantiles(1 - TAILS, channels), {CHI_SQUARED: TAILS}
    if known:
        quantiles[HOTELLING] = hotelling_quantiles(PROBABILITIES, channels, fitted)
        above[HOTELLING] = hotelling_above(limits, channels, fitted)
    quantiles[OBSERVED] = np.quantile(squared, PROBABILITIES)
    above[OBSERVED] = (squared > limits[:, None]).mean(1)
    return Reading(images, len(squared), channels, fitted, quantiles, above, remark)


def _law(head: Head, channels: int, fitted: int) -> tuple[bool, str]:
    """Whether the law for so many images is known, and what to say of it."""
    covariance, learnt = head.covariance, head.embedding.learnt
    if learnt:
        return False, (
            f"The fitted images have chosen the axes ({learnt}) too, and of such distances no law is known for N "
            "images: the chi-squared, for N without end, is all there is to compare."
        )
    if covariance.name != "sample" or covariance.pool != 1:
        return False, (
            f"For N images no law is known of this estimate of the covariance ({covariance.name}, pool "
            f"{covariance.pool}): the chi-squared, for N without end, is all there is to compare."
        )
    if fitted <= channels:
        return False, (
            f"N = {fitted} images are no more than the D = {channels} channels: the covariance has an inverse only "
            f"because {covariance.eps:g} is added to its variances, and of such distances no law is known."
        )
    return True, (
        f"For N = {fitted} images and D = {channels} channels it is Hotelling's: M² ~ (N² - 1) D / (N (N - D)) "
        f"F(D, N - D). The {covariance.eps:g} that is added to the variances makes all distances smaller than that."
    )
