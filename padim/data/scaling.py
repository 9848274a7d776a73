"""From an image file to pixels of one size, whatever its own."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from padim.data.decoding import read_content, read_rgb

Size = tuple[int, int]
"""Height and width."""


class Scaled(NamedTuple):
    """An image, resized, the height and width that its file has, and the SHA-256 of the file."""

    image: Image.Image
    original: Size
    content_hash: str


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
        content = read_content(path) if content is None else content
        image = read_rgb(path, content)
        return Scaled(self.resized(image), (image.height, image.width), sha256(content).hexdigest())

    def resized(self, image: Image.Image) -> Image.Image:
        """Not yet padded."""
        fitted = self.fitted((image.height, image.width))
        return functional.resize(image, fitted, InterpolationMode(self.interpolation))

    def fitted(self, original: Size) -> Size:
        """Height and width of an image in the frame."""
        if not self.keep_aspect:
            return self.size
        scale = min(frame / side for frame, side in zip(self.size, original, strict=True))
        height, width = (max(1, round(scale * side)) for side in original)
        return height, width

    def padded_image(self, image: Image.Image) -> Image.Image:
        """In the middle of the frame, reflected at its border, the edge repeated: no edge that could look anomalous."""
        if (image.height, image.width) == self.size:  # a quarter of the time of a small image
            return image
        return functional.pad(image, self._margins(image), padding_mode="symmetric")

    def padded_mask(self, mask: Image.Image) -> Image.Image:
        """In the middle of the frame, nothing around it."""
        return functional.pad(mask, self._margins(mask))

    def _margins(self, image: Image.Image) -> list[int]:
        """Left, top, right and bottom."""
        rows, columns = self.size[0] - image.height, self.size[1] - image.width
        return [columns // 2, rows // 2, columns - columns // 2, rows - rows // 2]
