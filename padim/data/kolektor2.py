"""KolektorSDD2: 3335 pictures of a surface, about 230 x 630 pixels, of which 356 show a defect.

    ROOT/train/NNNNN.png
    ROOT/train/NNNNN_GT.png      every picture has one; without a defect it is 0 throughout
    ROOT/test/NNNNN.png
    ROOT/test/NNNNN_GT.png

The split is the authors'. Their training pictures, 2085 normal and 246 defective, are for a supervised method; here the
defective ones are left out. The archive holds ``10301 (copy).png`` and ``10301_GT (copy).png`` by mistake: copies are
skipped, which the numbers above are without.

Bozic, Tabernik, Skocaj: Mixed supervision for surface-defect detection: from weakly to fully supervised learning.
Computers in Industry 129, 2021. CC BY-NC-SA 4.0, https://www.vicos.si/resources/kolektorsdd2
"""

from pathlib import Path

from padim.data.layout import Layout, image_files
from padim.data.samples import Sample

LAYOUT = Layout.of(__doc__)


class Kolektor2:
    """Reader of the data set; it opens every mask to see what is normal, which takes seconds."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        samples = [sample for sample in self._pictures("train") if not sample.label]
        if not samples:
            raise LAYOUT.missing(f"no training images: {self.root / 'train'} has no normal picture")
        return samples

    def test(self) -> list[Sample]:
        samples = self._pictures("test")
        if not samples:
            raise LAYOUT.missing(f"no test images: {self.root / 'test'} has no picture")
        return samples

    def _pictures(self, split: str) -> list[Sample]:
        folder = LAYOUT.root(self.root) / split
        files = [path for path in image_files(folder) if not path.stem.endswith(" (copy)")]
        return LAYOUT.samples_beside_masks(files, folder / "*_GT.png")
