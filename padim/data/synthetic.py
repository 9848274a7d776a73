"""The embedded data set: drawn specimens in MVTec AD's layout, with exact masks."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from padim.data.drawing import board, defects, gear, textures
from padim.data.drawing.canvas import Canvas, light, quantise, sensor_noise, shade
from padim.data.drawing.parts import Part, assemble, displace, remove
from padim.data.mvtec import MVTec
from padim.data.once import make_once

Bytes = npt.NDArray[np.uint8]

VERSION = 1  # of the drawing: raise it with every change of a pixel, lest old pictures be taken for new ones


class Category(NamedTuple):
    """How the specimens of a category are made, and what can go wrong with them."""

    parts: Callable[[np.random.Generator], tuple[Part, ...]]
    draw: Callable[[tuple[Part, ...], np.random.Generator], Canvas]
    kinds: tuple[str, ...]


class Specimen(NamedTuple):
    """One photograph, and what it would be without the defect."""

    image: Bytes  # (256, 256, 3)
    mask: Bytes  # (256, 256), 255 where the defect shows, else 0
    flawless: Bytes  # (256, 256, 3), equal to ``image`` outside the mask


ON_SURFACE = {"colour": defects.colour, "hole": defects.hole, "scratch": defects.scratch, "stain": defects.stain}
ON_PARTS = {"misplaced_part": displace, "missing_part": remove}

CATEGORIES = {
    "board": Category(lambda rng: assemble(board.layout(), rng), board.draw, (*ON_SURFACE, *ON_PARTS)),
    "fabric": Category(textures.threads, textures.fabric, (*ON_SURFACE, *ON_PARTS)),
    "gear": Category(lambda rng: assemble(gear.layout(), rng), gear.draw, (*ON_SURFACE, *ON_PARTS)),
    "wood": Category(lambda rng: (), textures.wood, tuple(ON_SURFACE)),
}


class Synthetic(MVTec):
    """A category of the synthetic data set, drawn under ``root`` / vVERSION-seed-SEED when it is first asked for.

    Args:
        root: folder of the data set; seeds lie apart in it.
        category: board, fabric, gear or wood.
        seed: what the whole data set is drawn from.
    """

    def __init__(self, root: str | Path, category: str, seed: int = 0) -> None:
        _recipe(category)
        if seed < 0:
            raise ValueError(f"the seed of the synthetic data set is {seed}: it must be 0 or more")
        super().__init__(Path(root) / f"v{VERSION}-seed-{seed}", category)
        self.seed = seed

    def prepare(self) -> None:
        """Draw the category unless it is there."""
        make_once(self.root / self.category, lambda folder: generate(folder, self.category, self.seed))


def generate(
    folder: Path, category: str, seed: int = 0, train: int = 100, test_good: int = 20, per_kind: int = 6
) -> None:
    """Write a category into ``folder`` as MVTec AD does: train/good, test/KIND, ground_truth/KIND, PNG of 256 x 256."""
    jobs = [("train", "good", index) for index in range(train)]
    jobs += [("test", "good", index) for index in range(test_good)]
    jobs += [("test", kind, index) for kind in _recipe(category).kinds for index in range(per_kind)]
    for split, kind, index in tqdm(jobs, desc=f"drawing {category}", unit="image"):
        specimen = draw(seed, category, split, kind, index)
        _write(folder / split / kind / f"{index:03d}.png", specimen.image)
        if kind != "good":
            _write(folder / "ground_truth" / kind / f"{index:03d}_mask.png", specimen.mask)


def _write(path: Path, pixels: Bytes) -> None:
    """A PNG, and the folders on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)  # sensor noise does not compress: more effort is lost


def draw(seed: int, category: str, split: str, kind: str, index: int) -> Specimen:
    """One specimen; a function of the arguments alone, so the order of drawing does not matter.

    The scene is drawn from the same random streams with and without its defect. The mask is where the two differ by a
    grey level or more, before the noise of the sensor, which both share.
    """
    if kind not in ("good", *_recipe(category).kinds):
        known = ", ".join(_recipe(category).kinds)
        raise ValueError(f"{category} has no defect {kind!r}: ask for good or one of {known}")
    name = f"{category}/{split}/{kind}/{index}".encode()  # not hash(), which differs from process to process
    streams = np.random.SeedSequence([seed, *name]).spawn(5)
    lamp, noise = light(np.random.default_rng(streams[3])), sensor_noise(np.random.default_rng(streams[4]))
    flawless = shade(_scene(category, "good", streams[:3]), lamp)
    picture = flawless if kind == "good" else shade(_scene(category, kind, streams[:3]), lamp)
    shows = np.abs(picture - flawless).max(axis=2) >= 1 / 255  # (256, 256)
    picture = np.where(shows[..., None], picture, flawless)
    return Specimen(quantise(picture + noise), shows.astype(np.uint8) * 255, quantise(flawless + noise))


def _scene(category: str, kind: str, streams: list[np.random.SeedSequence]) -> Canvas:
    """What lies before the camera. Parts, picture and defect have a stream each: a defect disturbs nothing else."""
    of_parts, of_picture, of_defect = map(np.random.default_rng, streams)
    parts = _recipe(category).parts(of_parts)
    if kind in ON_PARTS:
        parts = ON_PARTS[kind](parts, of_defect)
    canvas = _recipe(category).draw(parts, of_picture)
    if kind in ON_SURFACE:
        ON_SURFACE[kind](canvas, of_defect)
    return canvas


def _recipe(category: str) -> Category:
    """The category of that name."""
    if category not in CATEGORIES:
        raise ValueError(f"the synthetic data set has no category {category!r}: choose one of {', '.join(CATEGORIES)}")
    return CATEGORIES[category]
