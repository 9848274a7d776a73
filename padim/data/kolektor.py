"""KolektorSDD: electrical commutators, 50 items with 8 scans each, of which about one in eight shows a crack.

    ROOT/kosNN/PartM.jpg
    ROOT/kosNN/PartM_label.bmp      every scan has one; without a defect it is 0 throughout

The scans of an item are of one surface and nearly alike: a split by image puts an item on both sides, and flatters. The
usual protocol, the authors', is cross-validation in three folds with all scans of an item in the same fold. So it is
here, for a method that sees no defects: it fits on the normal scans of two folds and tests on all scans of the third.
The defects of the fitted items are in neither. Report the mean of the folds:

padim-train -m dataset=kolektor dataset.fold=0,1,2

Which item is in which fold is a function of the seed and the items' names. The authors' own folds come with their code
(https://github.com/vicoslab/mixed-segdec-net-comind2021, splits/KSDD), as pickles, which this reader does not load.

Tabernik, Sela, Skvarc, Skocaj: Segmentation-based deep-learning approach for surface-defect detection. Journal of
Intelligent Manufacturing 31, 2020. CC BY-NC-SA 4.0, https://www.vicos.si/resources/kolektorsdd
"""

from pathlib import Path

from padim.data.hashing import uniform
from padim.data.layout import Layout, image_files
from padim.data.samples import Sample

LAYOUT = Layout.of(__doc__)


class Kolektor:
    """Reader of one fold.

    Args:
        root: of the items.
        fold: which is tested, 0 to folds - 1; the others are fitted.
        folds: how many; items are dealt to them in equal numbers, or nearly.
        seed: of the dealing.
    """

    def __init__(self, root: str | Path, fold: int = 0, folds: int = 3, seed: int = 0) -> None:
        if folds < 2:
            raise ValueError(f"dataset.folds={folds}: one to test and at least one to fit, so 2 or more")
        if fold not in range(folds):
            raise ValueError(f"dataset.fold={fold}: with dataset.folds={folds} it is 0 to {folds - 1}")
        self.root, self.fold, self.folds, self.seed = Path(root), fold, folds, seed

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        samples = [s for item, fold in self._items() if fold != self.fold for s in _scans(item) if not s.label]
        if not samples:
            raise LAYOUT.missing(f"no normal scan to fit on in {self.root} but for fold {self.fold}")
        return samples

    def test(self) -> list[Sample]:
        samples = [sample for item, fold in self._items() if fold == self.fold for sample in _scans(item)]
        if not samples:
            raise LAYOUT.missing(f"no scan to test on in fold {self.fold} of {self.root}")
        return samples

    def _items(self) -> list[tuple[Path, int]]:
        """Every item with its fold."""
        items = sorted(LAYOUT.root(self.root).glob("kos*/"))
        if len(items) < self.folds:
            raise LAYOUT.missing(f"{len(items)} items in {self.root} for dataset.folds={self.folds}")
        dealt = sorted(items, key=lambda item: uniform(self.seed, item.name))
        fold = {item: place % self.folds for place, item in enumerate(dealt)}
        return [(item, fold[item]) for item in items]


def _scans(item: Path) -> list[Sample]:
    if not (files := image_files(item)):
        raise LAYOUT.missing(f"no scans in {item}")
    return LAYOUT.samples_beside_masks(files, item / "*_label.bmp")
