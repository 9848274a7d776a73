"""Magnetic tile defects: 1344 pictures of tiles under uneven light, of many sizes, 952 without a defect.

    ROOT/MT_Free/Imgs/*.jpg          normal; the masks *.png beside them are not looked at
    ROOT/MT_KIND/Imgs/NAME.jpg
    ROOT/MT_KIND/Imgs/NAME.png       its mask

with KIND Blowhole, Break, Crack, Fray and Uneven, and ROOT the checkout of the repository.

There is no official split. Here a normal picture is for training where a hash of seed and file name, in [0, 1), is
below ``train_fraction``; all else is for testing. Another seed is another split; a picture that is added moves no
other.

A few masks of MT_Uneven are empty. They are taken as they are: the picture is anomalous, its pixels count as normal.

Huang, Qiu, Yuan: Surface defect saliency of magnetic tile. The Visual Computer 36, 2020. To be had from
https://github.com/abin24/Magnetic-tile-defect-datasets. (the dot is of the name), which names no licence and asks to
cite the article.
"""

from pathlib import Path

from padim.data.hashing import uniform
from padim.data.layout import Layout, image_files
from padim.data.samples import Sample

LAYOUT = Layout.of(__doc__)
KINDS = ("Blowhole", "Break", "Crack", "Fray", "Uneven")


class MagneticTile:
    """Reader of the data set.

    Args:
        root: of the folders MT_*.
        train_fraction: of the normal images, on average.
        seed: of the split.
    """

    def __init__(self, root: str | Path, train_fraction: float = 0.8, seed: int = 0) -> None:
        if not 0 < train_fraction < 1:
            raise ValueError(f"dataset.train_fraction={train_fraction}; it must be above 0 and below 1")
        self.root, self.train_fraction, self.seed = Path(root), train_fraction, seed

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        samples = [Sample(path) for path in self._images("Free").values() if self._is_trained(path)]
        if not samples:
            raise LAYOUT.missing(f"no training images: none in {self.root / 'MT_Free'} falls into the train_fraction")
        return samples

    def test(self) -> list[Sample]:
        normal = [Sample(path) for path in self._images("Free").values() if not self._is_trained(path)]
        return normal + [sample for kind in KINDS for sample in self._defects(kind)]

    def _is_trained(self, path: Path) -> bool:
        return uniform(self.seed, path.name) < self.train_fraction

    def _defects(self, kind: str) -> list[Sample]:
        images = self._images(kind)
        folder = self._folder(kind)
        masks = {path.stem: path for path in image_files(folder) if path.suffix.lower() == ".png"}
        pairs = LAYOUT.pairs(images, masks, folder / "*.png")
        return [Sample(path, kind.lower(), mask) for path, mask in pairs]

    def _images(self, kind: str) -> dict[str, Path]:
        files = image_files(self._folder(kind))
        images = LAYOUT.by_name(path for path in files if path.suffix.lower() != ".png")
        if not images:
            raise LAYOUT.missing(f"no images in {self._folder(kind)}")
        return images

    def _folder(self, kind: str) -> Path:
        folder = LAYOUT.root(self.root) / f"MT_{kind}" / "Imgs"
        if not folder.is_dir():
            raise LAYOUT.missing(f"no folder {folder}")
        return folder
