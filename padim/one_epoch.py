"""Lightning glue of what is fitted without a gradient: one epoch of updates, finalised in on_train_end."""

from typing import Protocol

import torch
from torch import Tensor

from padim.data.samples import Batch
from padim.evaluated import EvaluatedModule
from padim.ledger import Entry
from padim.processes import gather
from padim.statistics import Statistics


class Counting(Protocol):
    """A model that takes each image once."""

    def update(self, images: Tensor) -> None:
        """Take in a batch of normal images, uint8 (B, 3, H, W)."""

    def merge_ranks(self) -> None:
        """Give every process what all of them took in."""

    def finalise(self) -> None:
        """Turn it into a fitted model."""


class OneEpochModule(EvaluatedModule):
    """A model that is fitted by one epoch of updates; each process takes a share of the images."""

    model: Counting

    @property
    def statistics(self) -> list[Statistics]:
        """The state of the fit, from which an interrupted one can go on; none where images are not counted but kept."""
        return [module for module in self.modules() if isinstance(module, Statistics)]

    @property  # type: ignore[misc]
    def automatic_optimization(self) -> bool:
        """No: there is no loss."""
        return False

    def on_fit_start(self) -> None:
        if self.trainer.max_epochs != 1:
            raise ValueError(f"trainer.max_epochs={self.trainer.max_epochs} counts images more than once; it must be 1")

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """None to configure: fitting is counting."""
        return []

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.model.update(batch.image)
        self.images += map(Entry, batch.name, batch.content)

    def on_train_end(self) -> None:
        """On every rank: sending the fitted model would take longer, and what cannot be fitted is told by all."""
        self.model.merge_ranks()
        self.images = [entry for of_rank in gather(self.images) for entry in of_rank]
        self.model.finalise()
