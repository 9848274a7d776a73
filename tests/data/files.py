"""Image files for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write(path: Path, pixels: np.ndarray | None = None, size: tuple[int, int] = (8, 8), seed: int = 0) -> Path:
    """An image file of these pixels, or of noise, and the folders on the way to it."""
    if pixels is None:
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
