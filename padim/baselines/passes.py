"""One more pass over the training images, before a network learns or after it has."""

from collections.abc import Iterator
from typing import Any, cast

from pytorch_lightning import LightningModule
from torch import Tensor

from padim.data.module import ImageDataModule


def training_images(module: LightningModule) -> Iterator[Tensor]:
    """Batches, uint8 (B, 3, H, W), of the images of the fit that is going on, where the module is."""
    data = cast(ImageDataModule, cast(Any, module.trainer).datamodule)
    for batch in data.train_dataloader():
        yield batch.image.to(module.device)
