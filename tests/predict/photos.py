"""Photos of a plate, with a scratch where one is asked for, and models of such plates."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.commands import train
from padim.predict.placement import Box
from tests.commands.test_run import run

SIZE = (97, 151)
VARIANTS = {
    "stretch": ["dataset.resize=[96,96]", "dataset.image_size=[96,96]"],
    "crop": ["dataset.resize=[112,104]", "dataset.image_size=[96,88]"],
    "keep_aspect": ["dataset.resize=[120,120]", "dataset.image_size=[120,120]", "dataset.keep_aspect=true"],
    "keep_aspect_crop": ["dataset.resize=[128,136]", "dataset.image_size=[96,112]", "dataset.keep_aspect=true"],
}
"""How images are resized and cropped."""


def plate(seed: int, size: tuple[int, int] = SIZE, defect: Box | None = None) -> Image.Image:
    """The same plate under other noise; a defect is a black and white box, x, y, width, height of the pixels.

    Args:
        seed: of the noise.
        size: height and width.
        defect: where it is, in pixels of this size.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    pixels = 120 + 30 * np.sin(x / 17) * np.cos(y / 11) + rng.normal(0, 4, SIZE)
    image = Image.fromarray(np.repeat(pixels.clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    image = image.resize(size[::-1], Image.Resampling.BICUBIC)
    if defect:
        left, top, width, height = defect
        checks = np.indices((height, width)).sum(0) // max(1, min(width, height) // 4) % 2
        image.paste(Image.fromarray((255 * checks).astype(np.uint8)).convert("RGB"), (left, top))
    return image


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def fit(folder: Path, *overrides: str) -> Path:
    """A calibrated model of plates; returns its checkpoint."""
    for seed in range(30):
        save(plate(seed), folder / "images" / f"{seed:02}.png")
    with pytest.MonkeyPatch.context() as monkeypatch:
        data = ["dataset=folder", f"dataset.root={folder / 'images'}", f"output_dir={folder / 'run'}"]
        run(monkeypatch, train.main, *data, "reduction.dim=20", "data.batch_size=10", *overrides)
    return folder / "run" / "padim.ckpt"


CALIBRATED = ("dataset.calibration_fraction=0.3", "calibration.alpha=0.1")
