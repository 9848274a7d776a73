"""Photographs as cameras leave them: the drawn specimens, enlarged, with noise, as PNG files of 900 pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 900


def enlarge(category: Path, folder: Path) -> None:
    """Write a data set in the layout of ``dataset=folder``.

    Args:
        category: of a drawn data set.
        folder: to write.
    """
    noise = np.random.default_rng(0).integers(-2, 3, (SIDE, SIDE, 3))  # which a PNG file cannot compress
    for source in sorted(category.rglob("*.png")):
        kind, split = source.parent.name, source.parent.parent.name
        if split not in ("train", "test"):
            continue
        place = folder / ("train" if split == "train" else "test_good" if kind == "good" else "test_bad")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(source).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        noisy = (pixels + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(place / f"{kind}-{source.name}", compress_level=6)
