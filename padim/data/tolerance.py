"""Going on without the images that cannot be read, and keeping a list of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset, default_collate

from padim.data.decoding import UnreadableImageError
from padim.data.samples import Batch, ImageDataset
from padim.data.shares import ShareLoader


class Skipped(NamedTuple):
    """An image that was left out.

    Attributes:
        path: of the image.
        split: ``train`` or ``test``.
        reason: why it cannot be read.
    """

    path: Path
    split: str
    reason: str


class TolerantDataset(Dataset[Batch | Skipped]):
    """Images, or why there is none; a mask that cannot be read is an error all the same."""

    def __init__(self, dataset: ImageDataset, split: str) -> None:
        self.dataset, self.split = dataset, split

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Batch | Skipped:
        path = self.dataset.samples[index].path
        try:
            return self.dataset[index]
        except UnreadableImageError as error:
            return Skipped(path, self.split, str(error))
        except FileNotFoundError as error:
            if path.exists():  # then it is the mask
                raise
            return Skipped(path, self.split, str(error))


class TolerantLoader(ShareLoader):
    """Batches of what can be read, so some are smaller and fewer; the rest is added to ``skipped`` by its path.

    The list comes with the batches, since a worker that reads an image has no other way to tell this process.
    """

    def __init__(self, dataset: TolerantDataset, skipped: dict[Path, Skipped], **options: Any) -> None:
        super().__init__(dataset, **{"collate_fn": _collate} | options)  # Lightning hands it on where it makes another
        self.skipped = skipped

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch, skipped in super().__iter__():
            self.skipped.update({one.path: one for one in skipped})
            if batch is not None:
                yield batch


def _collate(items: list[Batch | Skipped]) -> tuple[Batch | None, list[Skipped]]:
    read = [item for item in items if isinstance(item, Batch)]
    return default_collate(read) if read else None, [item for item in items if isinstance(item, Skipped)]
