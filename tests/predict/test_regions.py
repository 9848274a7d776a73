"""Connected regions above a threshold, against a flood fill."""

import numpy as np
import pytest

from padim.predict.regions import find_regions


def flooded(above: np.ndarray) -> list[set[tuple[int, int]]]:
    """The 8-connected sets of pixels, pixel by pixel."""
    left, regions = {(int(row), int(column)) for row, column in np.argwhere(above)}, []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            region.add((row, column))
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            edge += around
        regions.append(region)
    return regions


@pytest.mark.parametrize("seed", range(5))
def test_regions_are_those_of_a_flood_fill(seed: int) -> None:
    anomaly_map = np.random.default_rng(seed).random((23, 31), np.float32)
    regions = find_regions(anomaly_map, 0.75)
    expected = flooded(anomaly_map > 0.75)
    assert len(regions) == len(expected) > 3
    assert [one.score for one in regions] == sorted((one.score for one in regions), reverse=True)
    for one in regions:
        (own,) = [region for region in expected if one.peak in region]
        rows, columns = zip(*own, strict=True)
        assert one.pixels == len(own)
        assert (one.rows, one.columns) == (slice(min(rows), max(rows) + 1), slice(min(columns), max(columns) + 1))
        assert one.score == max(anomaly_map[pixel] for pixel in own) == anomaly_map[one.peak]


def test_corners_connect() -> None:
    assert [one.pixels for one in find_regions(np.eye(4, dtype=np.float32), 0.5)] == [4]


def test_a_threshold_between_two_floats_is_not_rounded() -> None:
    """A score is compared as a Python float; its pixel must be judged alike, or there is an alarm without a region."""
    score = np.float32(12.3)
    for threshold in (12.3, float(score), np.nextafter(float(score), 0), 12.300000000000002):
        regions = find_regions(np.full((2, 2), score), threshold)
        assert bool(regions) == (float(score) > threshold)
