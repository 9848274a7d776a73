"""Where the pixels that a model sees lie in the image that they were made of: resizing, padding and cropping undone."""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from padim.data.scaling import Scaling, Size

Map = npt.NDArray[np.float32]
Values = TypeVar("Values", npt.NDArray[np.float32], npt.NDArray[np.uint8])
Box = list[int]
"""Left, top, width and height, pixels; as JSON gives it back."""


class Axis(NamedTuple):
    """One axis: pixel i of the model's image is pixel ``first + i`` of ``fitted``, which ``original`` ones became.

    Attributes:
        start, stop: the model's pixels that show the image; the others pad it.
    """

    first: int
    fitted: int
    original: int
    start: int
    stop: int

    @classmethod
    def of(cls, frame: int, fitted: int, crop: int, original: int) -> "Axis":
        first = (frame - crop) // 2 - (frame - fitted) // 2  # negative where padding comes first
        return cls(first, fitted, original, max(0, -first), min(crop, fitted - first))

    @property
    def scale(self) -> float:
        """How many of the original's pixels one of the model's is."""
        return self.original / self.fitted

    @property
    def offset(self) -> int:
        """Which of the fitted pixels is the first that is seen."""
        return self.first + self.start

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The original's pixels under those from ``start`` to ``stop``, counted from the first that shows the image.

        The first and the end, touched ones included.
        """
        first, end = self.offset + start, self.offset + stop
        return first * self.original // self.fitted, -(-end * self.original // self.fitted)

    def centre(self, index: int) -> int:
        """The original's pixel that the centre of one lies in, counted as above."""
        return (2 * (self.offset + index) + 1) * self.original // (2 * self.fitted)


class Placement(NamedTuple):
    """Both axes. Coordinates are those of the image as it is shown: turned as its EXIF orientation says.

    What is *seen* is the part of the model's image that shows the image; rows and columns are counted in it.
    """

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, scaling: Scaling, image_size: Size, original: Size) -> "Placement":
        """Of an image of some height and width, resized and cropped in the centre, where always some of it is."""
        sizes = zip(scaling.size, scaling.fitted(original), image_size, original, strict=True)
        rows, columns = (Axis.of(*axis) for axis in sizes)
        return cls(rows, columns)

    def seen(self, anomaly_map: Map) -> Map:
        """(..., H, W), what is seen of it."""
        return anomaly_map[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]

    def box(self, rows: slice, columns: slice) -> Box:
        """The box in the original that holds all of these."""
        (top, bottom), (left, right) = (
            self.rows.span(rows.start, rows.stop),
            self.columns.span(columns.start, columns.stop),
        )
        return [left, top, right - left, bottom - top]

    @property
    def window(self) -> Box:
        """The part of the original that the model sees."""
        return self.box(slice(0, self.rows.stop - self.rows.start), slice(0, self.columns.stop - self.columns.start))

    def point(self, row: int, column: int) -> list[int]:
        """x and y in the original."""
        return [self.columns.centre(column), self.rows.centre(row)]

    def area(self, count: int) -> int:
        """Pixels of the original that so many of the model's are, at least 1."""
        return max(1, round(count * self.rows.scale * self.columns.scale))

    @property
    def is_cropped(self) -> bool:
        """Whether there is something of the image that the model does not see."""
        return self.window != [0, 0, self.columns.original, self.rows.original]

    def full(self, seen: Values, size: Size) -> Values:
        """A map of the whole image, bilinear; where the model does not see NaN, or 0 where the numbers have none.

        Args:
            seen: float32 or uint8, of the shape that :meth:`seen` gives.
            size: height and width: of the original, or of a picture of it.
        """
        (height, width), (rows, columns) = size, self
        placed = Image.fromarray(seen).transform(
            (width, height),
            Image.Transform.AFFINE,
            # From the centres of the new pixels to places in what is seen.
            (columns.fitted / width, 0, -columns.offset, 0, rows.fitted / height, -rows.offset),
            Image.Resampling.BILINEAR,
            fillcolor=float("nan") if seen.dtype == np.float32 else 0,
        )
        return np.asarray(placed)
