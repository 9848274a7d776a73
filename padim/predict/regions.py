"""The connected regions of a map above a threshold."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from padim.predict.placement import Map

EIGHT = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected."""


class Region(NamedTuple):
    """Some connected pixels above the threshold.

    Attributes:
        rows, columns: what they span.
        pixels: how many they are.
        peak: row and column of the highest.
        score: the value there.
    """

    rows: slice
    columns: slice
    pixels: int
    peak: tuple[int, int]
    score: float


def find_regions(anomaly_map: Map, threshold: float) -> list[Region]:
    """The 8-connected regions of pixels above the threshold, the highest first; none where no pixel is above it."""
    # A Python float would be rounded to float32 for the comparison, and a score beside the threshold decided otherwise.
    labels, count = ndimage.label(anomaly_map > np.float64(threshold), EIGHT)
    if not count:
        return []
    index = range(1, count + 1)
    peaks = ndimage.maximum_position(anomaly_map, labels, index)
    sizes = np.bincount(labels.ravel())[1:]
    regions = [
        Region(rows, columns, int(size), (int(row), int(column)), float(anomaly_map[row, column]))
        for (rows, columns), size, (row, column) in zip(ndimage.find_objects(labels), sizes, peaks, strict=True)
    ]
    return sorted(regions, key=lambda region: -region.score)
