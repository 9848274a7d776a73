"""Lightning glue of what is trained: epochs of gradient descent, reproducible from a seed."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from padim.data.samples import Batch
from padim.ledger import Entry
from padim.method import Method
from padim.scoring import Prediction


class Trainable(Protocol):
    """A model with a loss."""

    def __call__(self, images: Tensor) -> Prediction: ...

    def loss(self, images: Tensor, generator: Generator) -> Tensor:
        """Of a batch of normal images, uint8 (B, 3, H, W); whatever is drawn is drawn by the generator."""


class TrainedMethod(Method):
    """A method whose network learns, by Adam.

    What is drawn in a step depends on the seed, the epoch and the batch alone, so that a fit that was interrupted goes
    on as if it had not been.

    Args:
        learning_rate, weight_decay: of the optimiser.
        seed: of what is drawn in the steps.
    """

    model: Trainable

    def __init__(self, learning_rate: float, weight_decay: float, seed: int) -> None:
        super().__init__()
        if not learning_rate > 0 or not weight_decay >= 0:
            raise ValueError(
                f"model.learning_rate={learning_rate} must be above 0, the weight decay, {weight_decay}, at least 0"
            )
        self.learning_rate, self.weight_decay, self.seed = learning_rate, weight_decay, seed

    def forward(self, images: Tensor) -> Prediction:
        return self.model(images)

    def configure_optimizers(self) -> Any:
        learnt = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.Adam(learnt, lr=self.learning_rate, weight_decay=self.weight_decay)

    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1:
            raise ValueError(
                f"method={self.name} trains in one process, and these are {self.trainer.world_size}; "
                "give trainer=default or trainer=gpu"
            )
        epochs = self.trainer.max_epochs
        if epochs is None or epochs < 1:
            raise ValueError(f"trainer.max_epochs={epochs}; method={self.name} takes 1 epoch or more")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.learn(batch.image, self.generator(batch_idx))
        if not loss.isfinite():
            raise ValueError(
                f"the loss is {loss.item()} in epoch {self.current_epoch + 1}, so nothing is learnt any more: "
                f"model.learning_rate={self.learning_rate} is too high"
            )
        self.log("loss", loss, prog_bar=True)
        if self.current_epoch == 0:  # the others are of the same images
            self.images += map(Entry, batch.name, batch.content)
        return loss

    def learn(self, images: Tensor, generator: Generator) -> Tensor:
        """The loss of a step, which Lightning descends; a method with several losses takes its steps here itself."""
        return self.model.loss(images, generator)

    def generator(self, batch_idx: int) -> Generator:
        """For what is drawn in a step of the current epoch."""
        return generator_of([self.seed, self.current_epoch, batch_idx], self.device)

    def on_train_end(self) -> None:
        """Whoever scores from now on gets no batch norm of the batch."""
        if not self.images:
            raise ValueError(f"method={self.name} was given no image to train on; give more training images")
        self.eval()


def generator_of(numbers: Sequence[int], device: torch.device) -> Generator:
    """A generator of its own for each list of numbers, each at least 0 and below 2^32."""
    (drawn,) = np.random.SeedSequence(list(numbers)).generate_state(1)
    return Generator(device).manual_seed(int(drawn))  # on the CPU, of which it keeps 32 bits
