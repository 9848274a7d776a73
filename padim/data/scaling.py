"""From an image file to pixels of one size, whatever its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from padim.data.decoding import read_rgb

Size = tuple[int, int]
"""Height and width."""


class Scaled(NamedTuple):
    """An image, resized, and the height and width that its file has."""

    image: Image.Image
    original: Size


@dataclass(frozen=True)
class Scaling:
    """How images are resized; what is read depends on the file and on this alone.

    Attributes:
        size: of the frame that images are resized to.
        interpolation: ``bicubic`` or ``bilinear``.
        keep_aspect: scale to fit into the frame and pad the rest, instead of stretching.
    """

    size: Size
    interpolation: str = "bicubic"
    keep_aspect: bool = False

    def read(self, path: Path, content: bytes | None = None) -> Scaled:
        """The image, not yet padded; from the content of the file where that has been read already."""
        image = read_rgb(path, content)
        original = (image.height, image.width)
        # Pillow returns a copy where nothing changes.
        return Scaled(image.resize(self.fitted(original)[::-1], Image.Resampling[self.interpolation.upper()]), original)

    def fitted(self, original: Size) -> Size:
        """Height and width of an image in the frame."""
        if not self.keep_aspect:
            return self.size
        scale = min(frame / side for frame, side in zip(self.size, original, strict=True))
        height, width = (max(1, round(scale * side)) for side in original)
        return height, width

    def padded_image(self, image: Image.Image) -> Image.Image:
        """In the middle of the frame, reflected at its border, the edge repeated: no edge that could look anomalous."""
        if (image.height, image.width) == self.size:
            return image
        return Image.fromarray(np.pad(np.asarray(image), (*self._margins(image), (0, 0)), "symmetric"))

    def padded_mask(self, mask: Image.Image) -> Image.Image:
        """In the middle of the frame, nothing around it."""
        if (mask.height, mask.width) == self.size:
            return mask
        return Image.fromarray(np.pad(np.asarray(mask), self._margins(mask)))

    def _margins(self, image: Image.Image) -> tuple[Size, Size]:
        rows, columns = self.size[0] - image.height, self.size[1] - image.width
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
