"""MVTec LOCO AD: five scenes with anomalies that are structural (a scratch) or logical (a part too many).

    ROOT/CATEGORY/train/good/*.png
    ROOT/CATEGORY/validation/good/*.png
    ROOT/CATEGORY/test/good/*.png
    ROOT/CATEGORY/test/KIND/NNN.png
    ROOT/CATEGORY/ground_truth/KIND/NNN/*.png
    ROOT/CATEGORY/defects_config.json

with CATEGORY breakfast_box, juice_bottle, pushpins, screw_bag or splicing_connectors, and KIND logical_anomalies or
structural_anomalies. An image has a mask for each of its defects.

The pixel metrics here take the plain union of these masks. They are not the article's sPRO, which knows the masks apart
and lets a defect count as found once the area of its ``saturation_threshold`` in defects_config.json is covered: of a
missing pushpin the whole empty compartment is marked, and nobody can say which pixel of it is wrong.

Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond dents and scratches: logical constraints in unsupervised anomaly
detection and localization. IJCV 130, 2022. CC BY-NC-SA 4.0, https://www.mvtec.com/company/research/datasets/mvtec-loco
"""

from pathlib import Path
from typing import ClassVar

from padim.data.layout import Layout
from padim.data.mvtec import MVTec
from padim.data.samples import Mask, Sample

LAYOUT = Layout.of(__doc__)


class LOCO(MVTec):
    """Reader of one category.

    Args:
        root, category: see above.
        validation: fit on the images of validation/good too, instead of leaving them out.
    """

    layout: ClassVar[Layout] = LAYOUT

    def __init__(self, root: str | Path, category: str, validation: bool = False) -> None:
        super().__init__(root, category)
        self.validation = validation

    def train(self) -> list[Sample]:
        samples = super().train()
        if not self.validation:
            return samples
        folder = self._category() / "validation" / self.good
        further = [Sample(path) for path in self.layout.images(folder).values()]
        if not further:
            raise self.layout.missing(f"no validation images in {folder}; to do without, dataset.validation=false")
        return samples + further

    def _pairs(self, images: dict[str, Path], truth: Path) -> list[tuple[Path, Mask]]:
        folders = {path.name: path for path in sorted(truth.glob("*/"))}
        return [(image, self._of_image(folder)) for image, folder in self.layout.pairs(images, folders, truth / "*")]

    def _of_image(self, folder: Path) -> tuple[Path, ...]:
        masks = tuple(self.layout.images(folder).values())
        if not masks:
            raise self.layout.missing(f"the image of {folder} has no mask; expected them at {folder}/*.png")
        return masks
