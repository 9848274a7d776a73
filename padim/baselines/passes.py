"""One more pass over the training images, before a network learns or after it has."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from torch import Tensor

from padim.data.module import ImageDataModule
from padim.method import Method


def training_images(module: Method) -> Iterator[Tensor]:
    """Batches, uint8 (B, 3, H, W), of the images of the fit that is going on, where the module is.

    As many as an epoch has, see ``trainer.limit_train_batches``.

    Raises:
        ValueError: there is none.
    """
    data = cast(ImageDataModule, cast(Any, module.trainer).datamodule)
    loader, limit = data.train_dataloader(), module.trainer.limit_train_batches
    batch = None
    for batch in islice(loader, limit if isinstance(limit, int) else int(limit * len(loader))):
        yield batch.image.to(module.device)
    if batch is None:
        raise ValueError(f"method={module.name} was given no image to train on; give more training images")
