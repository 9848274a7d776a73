"""Seconds of the parts of a fit and of a prediction, each beside those of what it is compared with."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader

from padim.commands import CONF
from padim.commands.run import logged_trainer
from padim.data.module import ImageDataModule
from padim.data.samples import Batch, Reader, Sample
from padim.model import PaDiM
from padim.module import PaDiMModule

Pair = tuple[float, float]
"""What is measured, and what it is compared with, in one unit."""


class Repeated:
    """A reader whose training samples come over and over, up to so many images."""

    def __init__(self, reader: Reader, images: int) -> None:
        self.reader, self.images = reader, images

    def prepare(self) -> None:
        self.reader.prepare()

    def train(self) -> list[Sample]:
        return list(islice(cycle(self.reader.train()), self.images))

    def test(self) -> list[Sample]:
        return self.reader.test()


def alternate(one: Callable[[], float], other: Callable[[], float], repetitions: int) -> list[Pair]:
    """Measure both in turn: what disturbs the machine disturbs both."""
    return [(one(), other()) for _ in range(repetitions)]


def seconds(action: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration of ``padim-train`` with these overrides, without its progress bar."""
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", overrides=[*overrides, "+trainer.enable_progress_bar=false"])


def fit(config: DictConfig, images: int) -> tuple[PaDiMModule, float]:
    """A module fitted to so many images, and the seconds of the whole ``trainer.fit``, factorisation included."""
    module, data = instantiate(config.model), _data(config, images)
    with TemporaryDirectory() as folder, logged_trainer(config, Path(folder)) as trainer:
        return module, seconds(lambda: trainer.fit(module, data))


def fit_against_backbone(config: DictConfig, model: PaDiM, images: int, repetitions: int) -> list[Pair]:
    """Seconds of a fit, and of loading the same batches and running the backbone on them."""
    loader = batches(config, images)

    def extract() -> None:
        for batch in loader:
            model.features(batch.image)

    return alternate(lambda: fit(config, images)[1], lambda: seconds(extract), repetitions)


def against_backbone(action: Callable[[], object], model: PaDiM, images: Tensor, repetitions: int) -> list[Pair]:
    """Seconds of a call, and of the backbone's forward, normalisation included, on a batch (B, 3, H, W) uint8."""
    action()  # whatever the first call prepares
    return alternate(lambda: seconds(action), lambda: seconds(lambda: model.features(images)), repetitions)


def batches(config: DictConfig, images: int) -> DataLoader[Batch]:
    """So many training images in batches, decoded anew in each iteration."""
    data = _data(config, images)
    data.setup("fit")
    return data.train_dataloader()


def _data(config: DictConfig, images: int) -> ImageDataModule:
    data: ImageDataModule = instantiate(config.data)
    data.reader = Repeated(data.reader, images)
    return data
