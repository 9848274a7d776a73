"""The LightningDataModule of every data set."""

from collections.abc import Sequence

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from padim.data.samples import Batch, ImageDataset, Reader, Sample, Size
from padim.scoring import INTERPOLATIONS


class ImageDataModule(LightningDataModule):
    """Training and test images of a reader, in uint8 batches.

    Args:
        reader: of the data set.
        resize: height and width that every image is resized to, whatever its aspect.
        image_size: height and width of the centre crop of that.
        interpolation: of the resizing, ``bicubic`` or ``bilinear``.
        batch_size: images at once; changes speed and memory, and the last digits of a score.
        num_workers: processes that decode images; changes speed only. 0 decodes in the main process.
    """

    def __init__(
        self,
        reader: Reader,
        resize: Sequence[int],
        image_size: Sequence[int],
        interpolation: str = "bicubic",
        batch_size: int = 32,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if any(crop > size for crop, size in zip(image_size, resize, strict=True)):
            raise ValueError(
                f"dataset.image_size={list(image_size)} is cut out of dataset.resize={list(resize)}: no larger"
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"{interpolation=}; known are {', '.join(INTERPOLATIONS)}")
        self.reader = reader
        self.resize, self.image_size = _size(resize), _size(image_size)
        self.interpolation, self.batch_size, self.num_workers = interpolation, batch_size, num_workers

    def prepare_data(self) -> None:
        self.reader.prepare()

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.train_set = self._dataset(self.reader.train())
        # For a fit as well: what is wrong with the test images is told before the work, not after it.
        self.test_set = self._dataset(self.reader.test())

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.train_set)

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.test_set)

    def _dataset(self, samples: list[Sample]) -> ImageDataset:
        return ImageDataset(samples, self.resize, self.image_size, self.interpolation)

    def _loader(self, dataset: ImageDataset) -> DataLoader[Batch]:
        return DataLoader(dataset, self.batch_size, num_workers=self.num_workers)


def _size(pair: Sequence[int]) -> Size:
    height, width = pair
    return height, width
