"""The layout of MVTec AD, which the synthetic data set and many of one's own share.

    ROOT/CATEGORY/train/good/*.png
    ROOT/CATEGORY/test/good/*.png
    ROOT/CATEGORY/test/KIND/NNN.png
    ROOT/CATEGORY/ground_truth/KIND/NNN_mask.png

MVTec AD itself has 15 categories, bottle to zipper.

Bergmann, Fauser, Sattlegger, Steger: MVTec AD - a comprehensive real-world dataset for unsupervised anomaly detection.
CVPR 2019. CC BY-NC-SA 4.0, https://www.mvtec.com/company/research/datasets/mvtec-ad
"""

from pathlib import Path
from typing import ClassVar

from padim.data.layout import SUFFIXES, Layout, image_files
from padim.data.samples import Mask, Sample

LAYOUT = Layout.of(__doc__)


class MVTec:
    """Reader of one category.

    Attributes:
        layout: what errors show.
        good: name of the folders of normal images.
        mask: name of the mask of the image *.
    """

    layout: ClassVar[Layout] = LAYOUT
    good: ClassVar[str] = "good"
    mask: ClassVar[str] = "*_mask.png"

    def __init__(self, root: str | Path, category: str | int) -> None:
        self.root, self.category = Path(root), str(category)  # Hydra reads 10 as a number

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        folder = self._category() / "train" / self.good
        samples = [Sample(path) for path in self.layout.images(folder).values()]
        if not samples:
            raise self.layout.missing(f"no training images: {folder} holds none of {', '.join(sorted(SUFFIXES))}")
        return samples

    def test(self) -> list[Sample]:
        test, truth = self._category() / "test", self._category() / "ground_truth"
        kinds = sorted({path.name for folder in (test, truth) for path in folder.glob("[!.]*/")})
        samples = [sample for kind in kinds for sample in self._of_kind(test / kind, truth / kind)]
        if not samples:
            raise self.layout.missing(f"no test images: {test} has no folder with images")
        self._require_read(image_files(test, recursive=True) + image_files(truth, recursive=True), samples)
        return samples

    def _category(self) -> Path:
        return self.layout.category(self.root, self.category)

    def _of_kind(self, folder: Path, truth: Path) -> list[Sample]:
        images = self.layout.images(folder)
        if folder.name != self.good:
            return [Sample(path, folder.name, mask) for path, mask in self._pairs(images, truth)]
        if masks := image_files(truth, recursive=True):
            raise self.layout.wrong(
                f"{masks[0]} is the mask of a normal image; remove it, or move its image to {folder.with_name('KIND')}"
            )
        return [Sample(path) for path in images.values()]

    def _require_read(self, paths: list[Path], samples: list[Sample]) -> None:
        """What lies too high or too deep would be left out in silence."""
        masks = [sample.mask if isinstance(sample.mask, tuple) else (sample.mask,) for sample in samples]
        read = {sample.path for sample in samples}.union(*masks)
        for path in paths:
            if path not in read:
                raise self.layout.wrong(f"{path} is not read, since no image and no mask lies there; move or remove it")

    def _pairs(self, images: dict[str, Path], truth: Path) -> list[tuple[Path, Mask]]:
        """The anomalous images of a kind with their masks, which lie in ``truth``."""
        return [*self.layout.pairs(images, self.layout.images(truth), truth / self.mask)]
