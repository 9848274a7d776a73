"""Pictures of predictions say which level raised an alarm, and where."""

import numpy as np
from PIL import Image

from padim.data.scaling import Scaling
from padim.predict.finding import Finding
from padim.predict.overlay import LINE, MARGIN, level_strip
from padim.predict.placement import Placement
from padim.predict.sheet import shares

OVERLAY = Image.new("RGB", (512, 384))


def found(*levels: str) -> Finding:
    """By a model that sees the centre of an image; the last level is due to a spot."""
    level_maps = np.zeros((len(levels), 48, 64), np.float32)
    level_maps[-1:, 10:14, 50:54] = 2
    placement = Placement.of(Scaling((60, 80)), (48, 64), (120, 160))
    record = {"shares": {level: float(level == levels[-1]) for level in levels}}
    return Finding(record, level_maps.sum(0), level_maps, placement, OVERLAY)


def test_each_level_has_its_map_where_the_image_is() -> None:
    strip = np.asarray(level_strip(OVERLAY, found("coarse", "fine"), 512)).astype(int)
    across, down = round(130 / 384 * 512), 130
    lefts = [MARGIN, MARGIN + (512 - MARGIN) // 2]
    coarse, fine = (strip[LINE : LINE + down, left : left + across].sum(2) for left in lefts)
    row, column = round((6 + 12) / 60 * down), round((8 + 52) / 80 * across)
    assert fine[row, column] > 500
    inside = np.s_[down // 10 + 1 : down - down // 10 - 1, across // 10 + 1 : across - across // 10 - 1]
    assert (coarse[inside] < 20).all()
    assert (fine[inside] > 100).mean() < 0.02
    for part in (coarse, fine):
        assert part[: down // 10 - 1].std() > 50  # hatched


def test_a_method_without_levels_has_no_maps_of_them() -> None:
    assert level_strip(OVERLAY, found(), 512).size == (512, 0)


def test_contact_sheets_name_the_shares() -> None:
    assert shares({"shares": {"layer2": 0.614, "layer1": 0.386}}) == "61% layer2   39% layer1"
