"""Image files as batches for a model, read by worker processes; those that cannot be read do not stop the others."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import Dataset

from padim.data.ahead import AheadLoader
from padim.data.decoding import UnreadableImageError, read_content, read_rgb
from padim.data.pose import cropped
from padim.data.scaling import Scaling, Size
from padim.predict.placement import Placement

SIDES = (512, 1024)
"""A picture's longer side, pixels: a smaller image is enlarged, a larger one reduced."""


class Item(NamedTuple):
    """An image that was read.

    Attributes:
        path: absolute.
        size, mtime_ns: of the file, by which it is known to be the same later: bytes, and nanoseconds.
        image: what the model takes, (3, H, W); no tensor, since those come from a worker by way of shared memory, which
            containers have little of.
        placement: where that lies in the image.
        picture: the image, of a size to be looked at; None where none was asked for.
    """

    path: str
    size: int
    mtime_ns: int
    image: npt.NDArray[np.uint8]
    placement: Placement
    picture: Image.Image | None


class Broken(NamedTuple):
    """An image file that gives no prediction, and why."""

    path: str
    reason: str


class Images(Dataset[Item | Broken]):
    """Image files, prepared as those that the model was fitted to.

    Args:
        paths: absolute.
        scaling: to the frame.
        image_size: height and width of the frame's centre, which the model takes.
        pictures: also keep a picture of each image.
    """

    def __init__(self, paths: Sequence[str], scaling: Scaling, image_size: Size, pictures: bool) -> None:
        self.paths, self.scaling, self.image_size, self.pictures = paths, scaling, image_size, pictures

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Item | Broken:
        path = self.paths[index]
        try:
            return self._read(path)
        except (UnreadableImageError, OSError) as error:
            return Broken(path, str(error))
        except MemoryError:
            return Broken(path, "there is not enough memory for it; reduce it, or lower num_workers")

    def _read(self, path: str) -> Item:
        facts = Path(path).stat()  # before the content: what changes in between is read again by the next run
        image = read_rgb(Path(path), read_content(Path(path)))
        frame = self.scaling.padded_image(self.scaling.resized(image))
        pixels = np.asarray(cropped(frame, None, self.image_size)).transpose(2, 0, 1)
        placement = Placement.of(self.scaling, self.image_size, (image.height, image.width))
        picture = picture_of(image) if self.pictures else None
        return Item(path, facts.st_size, facts.st_mtime_ns, pixels, placement, picture)


def picture_of(image: Image.Image) -> Image.Image:
    """The image at its own size, as far as :data:`SIDES` allow."""
    longer = max(image.size)
    factor = min(max(longer, SIDES[0]), SIDES[1]) / longer
    width, height = (max(1, round(factor * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2)


def batches(images: Images, batch_size: int, num_workers: int | None) -> Iterator[tuple[list[Item], list[Broken]]]:
    """What could be read and what could not, in order; so much as fits into a batch at once."""
    yield from AheadLoader(images, num_workers, batch_size=batch_size, collate_fn=_apart)


def _apart(items: Iterable[Item | Broken]) -> tuple[list[Item], list[Broken]]:
    items = list(items)
    return [one for one in items if isinstance(one, Item)], [one for one in items if isinstance(one, Broken)]
