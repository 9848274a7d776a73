"""What is measured, and which ratios are wanted."""

from typing import NamedTuple


class Model(NamedTuple):
    """A model of the paper, what to fit it to, and the highest ratios that are wanted of it.

    Attributes:
        fits: numbers of training images.
        fit: target at 400 of them.
        finalise: target.
        head: targets, by the size of the batch.
        repetitions: of whole fits; what is shorter is repeated a multiple of that.
    """

    name: str
    overrides: tuple[str, ...]
    fits: tuple[int, ...]
    fit: float
    finalise: float | None
    head: dict[int, float]
    repetitions: int


R18 = Model(
    "R18-Rd100", ("backbone=resnet18", "reduction.dim=100"), (100, 200, 400, 800), 1.10, None, {16: 0.05, 1: 0.10}, 3
)
WR50 = Model("WR50-Rd550", ("backbone=wide_resnet50_2", "reduction.dim=550"), (400,), 1.25, 1.2, {16: 0.15, 1: 0.35}, 2)


class Plan(NamedTuple):
    """How much to measure.

    Attributes:
        models: to time.
        drawn: training images, good test images, and test images of each defect.
        repetitions: of whole commands.
        gpu: whether on a GPU. Whole predictions are timed there too, in batches of other sizes; no target is for it.
    """

    models: tuple[Model, ...]
    drawn: tuple[int, int, int]
    repetitions: int
    gpu: bool = False


FULL = Plan((R18, WR50), (100, 20, 6), 3)
QUICK = Plan((R18._replace(fits=(8, 16), repetitions=1),), (16, 1, 1), 1)
ON_GPU = {32: None, 1: None}
"""Sizes of batches, as ``Model.head``."""
