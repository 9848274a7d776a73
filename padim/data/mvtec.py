"""The layout of MVTec AD (Bergmann et al., CVPR 2019), which the synthetic data set and many of one's own share.

    ROOT/CATEGORY/train/good/*.png
    ROOT/CATEGORY/test/good/*.png
    ROOT/CATEGORY/test/KIND/NNN.png
    ROOT/CATEGORY/ground_truth/KIND/NNN_mask.png

MVTec AD itself: 15 categories, CC BY-NC-SA 4.0, https://www.mvtec.com/company/research/datasets/mvtec-ad
"""

from pathlib import Path

from padim.data.samples import Sample

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


class MVTec:
    """Reader of one category."""

    def __init__(self, root: str | Path, category: str | int) -> None:
        self.root, self.category = Path(root), str(category)  # Hydra reads 10 as a number

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        folder = self._category() / "train" / "good"
        samples = [Sample(path) for path in _images(folder)]
        if not samples:
            raise FileNotFoundError(f"no training images: {folder} holds none of {', '.join(sorted(SUFFIXES))}")
        return samples

    def test(self) -> list[Sample]:
        samples = [
            Sample(path, folder.name, self._mask(path) if folder.name != "good" else None)
            for folder in sorted((self._category() / "test").glob("*/"))
            for path in _images(folder)
        ]
        if not samples:
            raise FileNotFoundError(f"no test images: {self._category() / 'test'} has no folder with images")
        return samples

    def _category(self) -> Path:
        folder = self.root / self.category
        if folder.is_dir():
            return folder
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"dataset.root={self.root} is no folder; give the folder that holds one folder per category"
            )
        found = sorted(path.name for path in self.root.iterdir() if (path / "train").is_dir())
        raise FileNotFoundError(f"no category {self.category!r} in {self.root}; there is {', '.join(found) or 'none'}")

    def _mask(self, path: Path) -> Path:
        folder = self._category() / "ground_truth" / path.parent.name
        mask = folder / f"{path.stem}_mask.png"
        if not mask.is_file():
            raise FileNotFoundError(f"the anomalous image {path} has no mask; expected it at {mask}")
        return mask


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
