"""An unfinished fit on disk, so that it can be killed at any moment and goes on from there."""

import logging
import shutil
import time
from itertools import starmap
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities import rank_zero_only

from padim.checkpoint import AtomicCheckpointIO
from padim.data.module import ImageDataModule
from padim.gaussian import Moments
from padim.ledger import Entry
from padim.method import Method
from padim.one_epoch import OneEpochModule
from padim.trained import TrainedMethod

log = logging.getLogger(__name__)


class Progress(Callback):
    """Saves a fit on the way.

    Args:
        folder: for the files, which nothing else uses.
        config: what the fit depends on; that of another is left alone.
        every: batches from one saving to the next; None never saves.

    Attributes:
        seconds_before: that the fit took until what it goes on from was saved.
    """

    def __init__(self, folder: Path, config: dict[str, Any], every: int | None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"save_every={every}; it must be 1 batch or more, or null: never")
        self.folder, self.config, self.every = folder, config, every
        self.seconds_before, self._begun = 0.0, time.perf_counter()

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._begun = time.perf_counter()  # once the images are there

    @property
    def _seconds(self) -> float:
        """That the fit has taken."""
        return self.seconds_before + time.perf_counter() - self._begun

    def checkpoint(self, data: ImageDataModule) -> Path | None:
        """What Lightning goes on from; None where it need not know."""
        return None

    @rank_zero_only
    def clear(self) -> None:
        """Once the checkpoint holds it all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_anew(self) -> None:
        log.warning("%s is of another configuration or of other images: the fit starts anew", self.folder)
        self.clear()


class Counting(Progress):
    """Saves what is counted, each process its own; a fit that starts again counts the other images only."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Rank 0 takes up what all ranks had saved, however many they were; all leave those images out."""
        if stage != "fit":
            return
        data = cast(ImageDataModule, cast(Any, trainer).datamodule)
        self.folder = trainer.strategy.broadcast(self.folder)  # a launched process has another working directory
        if trainer.is_global_zero and self.folder.exists():
            self._resume(pl_module, data)
        data.counted = trainer.strategy.broadcast({entry.name for entry in pl_module.images})

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.every and pl_module.statistics and (batch_idx + 1) % self.every == 0:
            self._save(pl_module, trainer.global_rank)

    def _save(self, module: OneEpochModule, rank: int) -> None:
        content = {
            "config": self.config,
            "images": [tuple(entry) for entry in module.images],
            "seconds": self._seconds,
            "statistics": [
                [(moments.count, moments.mean, moments.scatter) for moments in statistics.moments]
                for statistics in module.statistics
            ],
        }
        AtomicCheckpointIO().save_checkpoint(content, self.folder / f"{rank}.ckpt")

    def _resume(self, module: OneEpochModule, data: ImageDataModule) -> None:
        files = sorted(self.folder.glob("[0-9]*.ckpt"))  # no half-written one, whose name begins with a dot
        parts = [torch.load(file, map_location="cpu", weights_only=True, mmap=True) for file in files]
        images = {Entry(*image) for part in parts for image in part["images"]}
        if any(part["config"] != self.config for part in parts) or not data.still_has(images):
            self._start_anew()
            return
        for part in sorted(parts, key=lambda part: -len(part["images"])):
            self._take_up(module, part)
        self.seconds_before = max((part["seconds"] for part in parts), default=0.0)
        log.info("going on from %s: %d of %d images are counted", self.folder, len(module.images), len(data.train_set))
        self._save(module, rank=0)
        for file in files:
            if file.name != "0.ckpt":
                file.unlink()

    def _take_up(self, module: OneEpochModule, part: dict[str, Any]) -> None:
        entries = [Entry(*image) for image in part["images"]]
        if set(entries) <= set(module.images):
            return  # a fit that went on had joined it to its own already, and was killed before it was deleted
        for statistics, levels in zip(module.statistics, part["statistics"], strict=True):
            statistics.add([Moments(*level) for level in levels])
        module.images += entries


class Epochs(Progress):
    """Saves a training after an epoch: the network, what the optimiser knows, the ledger; it goes on with the next.

    The last epoch is not saved, so that there is always one to do, and what follows it is done, too.
    """

    def __init__(self, folder: Path, config: dict[str, Any], every: int | None) -> None:
        super().__init__(folder, config, every)
        self.file, self._since = folder / "epoch.ckpt", 0

    def checkpoint(self, data: ImageDataModule) -> Path | None:
        if not self.file.exists():
            return None
        saved = torch.load(self.file, map_location="cpu", weights_only=True, mmap=True)
        data.setup("fit")
        same_names = (saved["identity"], saved["train_names"]) == (self.config, sorted(data.train_names))
        if not same_names or not data.still_has(starmap(Entry, saved["images"])):
            self._start_anew()
            return None
        self.seconds_before = saved["seconds"]
        log.info("going on from %s: %d epochs are done", self.folder, saved["epoch"] + 1)
        return self.file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._since += cast(int, trainer.num_training_batches)
        if self.every and self._since >= self.every and trainer.current_epoch + 1 != trainer.max_epochs:
            trainer.save_checkpoint(self.file, weights_only=False)
            self._since = 0

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        data = cast(ImageDataModule, cast(Any, trainer).datamodule)
        checkpoint |= {"identity": self.config, "train_names": sorted(data.train_names), "seconds": self._seconds}


def progress_of(module: Method) -> type[Progress]:
    """How a fit of this module is saved."""
    return Epochs if isinstance(module, TrainedMethod) else Counting
