"""MPDD, metal parts defect detection: six classes of painted parts in varying number, position and light.

    ROOT/CATEGORY/train/good/*.png
    ROOT/CATEGORY/test/good/*.png
    ROOT/CATEGORY/test/KIND/NNN.png
    ROOT/CATEGORY/ground_truth/KIND/NNN_mask.png

with CATEGORY bracket_black, bracket_brown, bracket_white, connector, metal_plate or tubes: MVTec AD's layout.

Jezek, Jonak, Burget, Dvorak, Skotak: Deep learning-based defect detection of metal parts: evaluating current methods in
complex conditions. ICUMT 2021, doi 10.1109/ICUMT54235.2021.9631567. To be had from https://github.com/stepanje/MPDD,
which names no licence (others give it as CC BY-NC-SA 4.0): ask the authors before any use but research.
"""

from typing import ClassVar

from padim.data.layout import Layout
from padim.data.mvtec import MVTec

LAYOUT = Layout.of(__doc__)


class MPDD(MVTec):
    """Reader of one category, see :class:`padim.data.mvtec.MVTec`."""

    layout: ClassVar[Layout] = LAYOUT
