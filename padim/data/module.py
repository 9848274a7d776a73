"""The LightningDataModule of every data set."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from padim.data.augmentation import Augmentation
from padim.data.cache import ImageCache
from padim.data.decoding import UnreadableImageError
from padim.data.samples import Batch, ImageDataset, Reader, Sample, Size
from padim.data.shares import ShareLoader, Shuffled, shard_of, share_of
from padim.data.tolerance import Skipped, TolerantDataset, TolerantLoader
from padim.ledger import Entry
from padim.scoring import INTERPOLATIONS


class ImageDataModule(LightningDataModule):
    """Training and test images of a reader, in uint8 batches.

    Args:
        reader: of the data set.
        resize: height and width that every image is resized to, whatever its aspect.
        image_size: height and width of the centre crop of that.
        interpolation: of the resizing, ``bicubic`` or ``bilinear``.
        batch_size: images at once; changes speed and memory, and the last digits of a score.
        num_workers: processes that decode images, see :class:`padim.data.ahead.AheadLoader`; changes speed only. None:
            threads, which decode the next batch meanwhile. 0: nobody does.
        keep_aspect: scale to fit into ``resize`` and pad, instead of stretching; the padding counts nowhere.
        calibration_fraction: share of the training images that is not fitted but kept for thresholds.
        on_error: ``raise`` at an image that cannot be read, or ``skip`` it, in training and in the test.
        cache, cache_dir, cache_gb: whether, where and how many decoded images are kept on disk, see
            :class:`padim.data.cache.ImageCache`; changes speed only.
        augmentation: of the images that are fitted, arguments of :class:`padim.data.augmentation.Augmentation`.
        test_batch_size: images at once in the test; None: as many.
        shuffle_seed: of the order of the training images, another in each epoch; None: as the reader lists them.
        shard: which part of these images to fit to, such as "3/16": the others are other jobs'. None: all.

    Attributes:
        train_set, calibration_set: after a setup for a fit; one may be empty, and they share no image.
        test_set: after any setup.
        skipped: the images left out so far, by their paths.
        counted: names of training images that are in the statistics already, and are left out.
    """

    def __init__(
        self,
        reader: Reader,
        resize: Sequence[int],
        image_size: Sequence[int],
        interpolation: str = "bicubic",
        batch_size: int = 32,
        num_workers: int | None = None,
        keep_aspect: bool = False,
        calibration_fraction: float = 0.0,
        on_error: str = "raise",
        cache: bool = False,
        cache_dir: str | Path = "data/cache",
        cache_gb: float = 10.0,
        augmentation: Mapping[str, Any] | None = None,
        shard: str | None = None,
        test_batch_size: int | None = None,
        shuffle_seed: int | None = None,
    ) -> None:
        super().__init__()
        if any(crop > size for crop, size in zip(image_size, resize, strict=True)):
            raise ValueError(
                f"dataset.image_size={list(image_size)} is cut out of dataset.resize={list(resize)}: no larger"
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"{interpolation=}; known are {', '.join(INTERPOLATIONS)}")
        if not 0 <= calibration_fraction < 1:
            raise ValueError(f"dataset.calibration_fraction={calibration_fraction}; it must be at least 0 and below 1")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"dataset.on_error={on_error}; it must be raise or skip")
        self.reader = reader
        self.resize, self.image_size = _size(resize), _size(image_size)
        self.interpolation, self.batch_size, self.num_workers = interpolation, batch_size, num_workers
        self.keep_aspect, self.calibration_fraction, self.on_error = keep_aspect, calibration_fraction, on_error
        self.cache = ImageCache(Path(cache_dir), cache_gb) if cache else None
        self.augmentation, self.shard = Augmentation(**augmentation or {}), shard
        self.augmentation.require_room(self.resize, self.image_size)
        self.test_batch_size, self.shuffle_seed = test_batch_size or batch_size, shuffle_seed
        self.skipped: dict[Path, Skipped] = {}
        self.counted: set[str] = set()

    def prepare_data(self) -> None:
        self.reader.prepare()

    def setup(self, stage: str) -> None:
        if self.cache is not None:
            self.cache.prepare()
        if stage == "fit":
            fitted: list[Sample] = self.reader.train()
            held_out: list[Sample] = []
            if self.calibration_fraction:
                fitted, held_out = hold_out(fitted, self.calibration_fraction, self.reader.root)
            if self.augmentation.repeats > 1:
                fitted = self.augmentation.views(fitted, self.reader.root)
            fitted = shard_of(fitted, self.shard)
            self.train_set, self.calibration_set = self._dataset(fitted), self._dataset(held_out)
        # For a fit as well: what is wrong with the test images is told before the work, not after it.
        self.test_set = self._dataset(self.reader.test())

    def train_dataloader(self) -> DataLoader[Batch]:
        left = [i for i, sample in enumerate(self.train_set.samples) if self._name(sample) not in self.counted]
        return self._loader(self.train_set, "train", left, self.shuffle_seed)

    @property
    def train_names(self) -> set[str]:
        """Of all images to fit to, those that are counted already included."""
        return set(map(self._name, self.train_set.samples))

    def still_has(self, entries: Iterable[Entry]) -> bool:
        """Whether these are among the images to fit to, and their files are what they were: reads them."""
        samples = {self._name(sample): sample for sample in self.train_set.samples}
        try:
            return all(name in samples and samples[name].content() == content for name, content in entries)
        except (FileNotFoundError, UnreadableImageError):
            return False  # who reads it to fit to it says so

    def _name(self, sample: Sample) -> str:
        return sample.view_name(self.reader.root)

    def calibration_dataloader(self) -> DataLoader[Batch]:
        """Normal images that the fit has not seen."""
        return self._loader(self.calibration_set, "train", range(len(self.calibration_set)))

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.test_set, "test", range(len(self.test_set)))

    def _dataset(self, samples: list[Sample]) -> ImageDataset:
        sizes, root = (self.resize, self.image_size), self.reader.root
        return ImageDataset(samples, *sizes, self.interpolation, self.keep_aspect, self.cache, root)

    def _loader(
        self, dataset: ImageDataset, split: str, indices: Sequence[int], shuffle_seed: int | None = None
    ) -> DataLoader[Batch]:
        """Batches of this process's share of some images."""
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = share_of(indices, rank, ranks)
        options: dict[str, Any] = {
            "batch_size": self.test_batch_size if split == "test" else self.batch_size,
            "num_workers": self.num_workers,
            "sampler": share if shuffle_seed is None else Shuffled(share, shuffle_seed),
        }
        if self.on_error == "raise":
            return ShareLoader(dataset, **options)
        return TolerantLoader(TolerantDataset(dataset, split), self.skipped, **options)


def hold_out(samples: list[Sample], fraction: float, root: Path) -> tuple[list[Sample], list[Sample]]:
    """Those to fit, and the ceil(fraction N) whose paths from the root have the smallest hashes.

    So the place of the root does not matter, and an image that is added moves at most one other: no random draw does
    that.
    """
    count = math.ceil(Fraction(str(fraction)) * len(samples))  # of floats, 7 % of 100 are more than 7
    held_out = set(sorted(samples, key=lambda sample: sha256(os.fsencode(sample.name(root))).digest())[:count])
    if samples and len(held_out) == len(samples):
        raise ValueError(
            f"dataset.calibration_fraction={fraction} of {len(samples)} training images leaves none to fit; lower it"
        )
    return [s for s in samples if s not in held_out], [s for s in samples if s in held_out]


def _size(pair: Sequence[int]) -> Size:
    height, width = pair
    return height, width
