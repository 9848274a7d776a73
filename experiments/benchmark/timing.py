"""Seconds of the parts of a fit and of a prediction, each beside those of what it is compared with."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader

from padim.commands import CONF
from padim.commands.tracking import logged_trainer
from padim.data.module import ImageDataModule
from padim.data.samples import Batch, Reader, Sample
from padim.model import PaDiM
from padim.module import PaDiMModule

Pair = tuple[float, float]
"""What is measured, and what it is compared with, in one unit."""


class Repeated:
    """A reader whose training samples come over and over, up to so many images."""

    def __init__(self, reader: Reader, images: int) -> None:
        self.reader, self.images, self.root = reader, images, reader.root

    def prepare(self) -> None:
        self.reader.prepare()

    def train(self) -> list[Sample]:
        return list(islice(cycle(self.reader.train()), self.images))

    def test(self) -> list[Sample]:
        return self.reader.test()


def alternate(one: Callable[[], float], other: Callable[[], float], repetitions: int) -> list[Pair]:
    """Measure both in turn: what slows the machine down slows both."""
    return repeat(lambda: (one(), other()), repetitions)


def repeat(measure: Callable[[], Pair], repetitions: int) -> list[Pair]:
    """So many pairs, the least disturbed of at most twice as many.

    On two cores, another process that takes one of them does more than halve the speed: at the end of every parallel
    loop a thread waits for one that is not running. Tiny loops become fifty times slower, large ones twice.
    """
    measured: list[tuple[float, Pair]] = []
    quiet = 0
    while quiet < repetitions and len(measured) < 2 * repetitions - 1:
        before, start = others_seconds(), time.perf_counter()
        pair = measure()
        # the kernel counts in hundredths of a second
        taken = max(0.0, others_seconds() - before - 0.03) / (time.perf_counter() - start)
        measured.append((taken, pair))
        quiet += taken < 0.1
    return [pair for _, pair in sorted(measured)[:repetitions]]


def others_seconds() -> float:
    """CPU time that all other processes, those started from here excepted, have used since the machine started."""
    used, here = psutil.cpu_times(), os.times()
    own = here.user + here.system + here.children_user + here.children_system
    return used.user + used.nice + used.system - own


def seconds(action: Callable[[], object]) -> float:
    """Wall time of a call, and of what it told a GPU to do."""
    start = time.perf_counter()
    action()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
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
            model.features(batch.image.to(model.mean.device))

    return alternate(lambda: fit(config, images)[1], lambda: seconds(extract), repetitions)


def waiting(model: PaDiM, loader: DataLoader[Batch]) -> Pair:
    """Seconds in which the backbone waits for images of a loader, and in all."""
    start, busy = time.perf_counter(), 0.0
    for batch in loader:
        images = batch.image.to(model.mean.device)
        busy += seconds(partial(model.features, images))
    whole = time.perf_counter() - start
    return whole - busy, whole


def against_backbone(
    step: Callable[[], object], model: PaDiM, images: Tensor, turns: int, repetitions: int
) -> list[Pair]:
    """Seconds of a call, and of the backbone's forward, normalisation included, on a batch (B, 3, H, W) uint8.

    Each pair is the sum of so many turns of both.
    """

    def measure() -> Pair:
        each = [(seconds(step), seconds(lambda: model.features(images))) for _ in range(turns)]
        of_step, of_backbone = zip(*each, strict=True)
        return sum(of_step), sum(of_backbone)

    measure()  # whatever the first calls prepare
    return repeat(measure, repetitions)


def batches(config: DictConfig, images: int) -> DataLoader[Batch]:
    """So many training images in batches, decoded anew in each iteration."""
    data = _data(config, images)
    data.setup("fit")
    return data.train_dataloader()


def _data(config: DictConfig, images: int) -> ImageDataModule:
    data: ImageDataModule = instantiate(config.data)
    data.reader = Repeated(data.reader, images)
    return data
