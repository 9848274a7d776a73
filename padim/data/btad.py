"""BTAD, beanTech anomaly detection: three industrial products, with one kind of defect each, ``ko``.

    ROOT/CATEGORY/train/ok/*.bmp
    ROOT/CATEGORY/test/ok/*.bmp
    ROOT/CATEGORY/test/ko/NNNN.bmp
    ROOT/CATEGORY/ground_truth/ko/NNNN.png

with CATEGORY 01, 02 or 03, and ROOT the folder BTech_Dataset_transformed of the archive. 01 has images .bmp and masks
.png, 02 both .png, 03 both .bmp: the suffixes are not looked at.

Mishra, Verk, Fornasier, Piciarelli, Foresti: VT-ADL, a vision transformer network for image anomaly detection and
localization. ISIE 2021, arXiv 2104.10036. To be had from https://avires.dimi.uniud.it/papers/btad/btad.zip, which holds
no licence (others give it as CC BY-SA 4.0 or CC BY-NC-SA 4.0): ask the authors before any use but research.
"""

from pathlib import Path
from typing import ClassVar

from padim.data.layout import Layout
from padim.data.mvtec import MVTec

LAYOUT = Layout.of(__doc__)


class BTAD(MVTec):
    """Reader of one category: 01, 02 or 03, with or without the zero."""

    layout: ClassVar[Layout] = LAYOUT
    good: ClassVar[str] = "ok"
    mask: ClassVar[str] = "*.png"

    def __init__(self, root: str | Path, category: str | int) -> None:
        super().__init__(root, str(category).zfill(2))  # YAML reads 01 as a number
