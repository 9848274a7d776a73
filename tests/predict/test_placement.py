"""Resizing, padding and cropping are undone: each pixel of the model is found where it came from."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.data.scaling import Scaling, Size
from padim.predict.images import Images, Item
from padim.predict.placement import Axis, Placement

Frame = tuple[Scaling, Size]
FRAMES: list[Frame] = [
    (Scaling((64, 64)), (64, 64)),
    (Scaling((65, 80)), (44, 51)),
    (Scaling((64, 64), keep_aspect=True), (64, 64)),
    (Scaling((63, 80), "bilinear", keep_aspect=True), (40, 41)),
    (Scaling((64, 48), keep_aspect=True), (56, 48)),
]
SIZES = [(97, 151), (40, 53), (301, 123)]


def places(frame: Frame, size: Size) -> Placement:
    return Placement.of(*frame, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", FRAMES)
def test_a_pixel_of_the_model_shows_the_place_that_it_is_said_to(frame: Frame, size: Size, tmp_path: Path) -> None:
    """An image whose colours are coordinates, read as predictions read it."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    ramp = np.stack([255 * (x + 0.5) / size[1], 255 * (y + 0.5) / size[0], 0 * x], -1)
    Image.fromarray(ramp.round().astype(np.uint8)).save(tmp_path / "ramp.png")
    item = Images([str(tmp_path / "ramp.png")], *frame, pictures=False)[0]
    assert isinstance(item, Item)
    assert item.placement == places(frame, size)
    seen = item.placement.seen(item.image.astype(np.float32))
    for row in range(1, seen.shape[1] - 1, 3):  # at the border the kernel is cut off
        for column in range(1, seen.shape[2] - 1, 3):
            at_x, at_y = item.placement.point(row, column)
            assert abs(seen[0, row, column] - 255 * (at_x + 0.5) / size[1]) < 255 / size[1] + 3
            assert abs(seen[1, row, column] - 255 * (at_y + 0.5) / size[0]) < 255 / size[0] + 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", FRAMES)
def test_boxes_cover_the_window_without_a_gap(frame: Frame, size: Size) -> None:
    place = places(frame, size)
    height, width = place.seen(np.empty(frame[1], np.float32)).shape
    covered = np.zeros(size, bool)
    for row in range(height):
        for column in range(width):
            left, top, across, down = place.box(slice(row, row + 1), slice(column, column + 1))
            x, y = place.point(row, column)
            assert left <= x < left + across
            assert top <= y < top + down
            covered[top : top + down, left : left + across] = True
    left, top, across, down = place.window
    assert covered.sum() == across * down
    assert covered[top : top + down, left : left + across].all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", FRAMES)
def test_the_whole_map_is_bilinear_and_nan_outside(frame: Frame, size: Size) -> None:
    """Against the slow form: each pixel by itself."""
    place = places(frame, size)
    seen = np.random.default_rng(0).random(place.seen(np.empty(frame[1], np.float32)).shape, np.float32)
    full = place.full(seen, size)
    assert full.shape == size
    assert full.dtype == np.float32
    for y in range(0, size[0], 3):
        for x in range(0, size[1], 3):
            expected = interpolated(place, seen, y, x)
            assert np.isclose(full[y, x], expected, atol=1e-4, equal_nan=True), (y, x)
    left, top, across, down = place.window
    inside = np.isfinite(full)
    assert inside[top + 1 : top + down - 1, left + 1 : left + across - 1].all()
    assert not inside[:top].any()
    assert not inside[:, left + across :].any()


def interpolated(place: Placement, seen: np.ndarray, y: int, x: int) -> float:
    row, column = (
        (index + 0.5) * axis.fitted / axis.original - axis.first - axis.start
        for index, axis in ((y, place.rows), (x, place.columns))
    )
    if not (0 <= row < seen.shape[0] and 0 <= column < seen.shape[1]):
        return float("nan")
    row, column = (min(max(at - 0.5, 0), length - 1) for at, length in zip((row, column), seen.shape, strict=True))
    top, left = int(row), int(column)
    down, right = (min(at + 1, length - 1) for at, length in zip((top, left), seen.shape, strict=True))
    upper = seen[top, left] * (1 - column + left) + seen[top, right] * (column - left)
    lower = seen[down, left] * (1 - column + left) + seen[down, right] * (column - left)
    return float(upper * (1 - row + top) + lower * (row - top))


def test_areas_add_up_to_the_window() -> None:
    place = places(FRAMES[1], (400, 500))
    _, _, across, down = place.window
    assert place.area(44 * 51) == pytest.approx(across * down, rel=0.03)
    assert places(FRAMES[0], (10, 10)).area(1) == 1


def test_some_of_the_image_is_always_seen() -> None:
    for frame in range(1, 25):
        for fitted in range(1, frame + 1):
            for crop in range(1, frame + 1):
                axis = Axis.of(frame, fitted, crop, original=1000)
                assert 0 <= axis.start < axis.stop <= crop
