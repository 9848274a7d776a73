"""Places that a fixed camera looks at: a wall at the back, ground before it, and lanes on which people walk.

Places are pixels; x points right, y down, from the upper left corner of the picture. The camera hangs CAMERA metres
above flat ground and looks at the horizon, so a metre at row y is (y - horizon) / CAMERA pixels long.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from padim.data.drawing.canvas import Array, Canvas, Colour, box, disc

HEIGHT, WIDTH = 136, 240  # of the picture; even, as MPEG-4 wants them
CAMERA = 4.5  # metres


class Lane(NamedTuple):
    """A strip along which people cross the picture."""

    row: float  # of its middle, at the middle of the picture
    slope: float  # rows a column
    breadth: float  # rows to either side


class Scene(NamedTuple):
    """What one camera sees."""

    horizon: float  # row; the wall's foot is lower
    foot: float  # row in which the wall meets the ground
    wall: Colour
    ground: Colour
    paving: Colour
    lanes: tuple[Lane, ...]
    joints: bool = True  # between slabs, over all of the ground
    trees: tuple[float, ...] = ()  # columns


SCENES = {
    "01": Scene(
        horizon=10,
        foot=44,
        wall=(0.62, 0.55, 0.47),
        ground=(0.58, 0.56, 0.53),
        paving=(0.66, 0.64, 0.60),
        lanes=(Lane(96, 0.06, 14),),
    ),
    "02": Scene(
        horizon=-6,
        foot=38,
        wall=(0.50, 0.57, 0.62),
        ground=(0.30, 0.42, 0.22),
        paving=(0.60, 0.57, 0.52),
        lanes=(Lane(92, -0.10, 10),),
        joints=False,
        trees=(28, 96, 205),
    ),
    "03": Scene(
        horizon=0,
        foot=40,
        wall=(0.55, 0.36, 0.30),
        ground=(0.47, 0.47, 0.48),
        paving=(0.56, 0.55, 0.55),
        lanes=(Lane(72, 0, 6), Lane(112, 0, 7)),
        trees=(222,),
    ),
}


def scenery(scene: Scene, rng: np.random.Generator) -> Canvas:
    """The place without anybody in it, (136, 240)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    colour = np.tile(np.asarray(scene.ground, np.float32), (HEIGHT, WIDTH, 1))
    zeros = np.zeros((HEIGHT, WIDTH), np.float32)
    canvas = Canvas(x, y, colour, zeros, zeros.copy())
    for lane in scene.lanes:
        canvas.paint(np.abs(y - _row(lane, x)) - lane.breadth - 4, scene.paving)
    if scene.joints:
        _slabs(canvas, scene)
    canvas.colour[...] *= 1 + 0.04 * _noise(rng, 10, 18)[..., None] + 0.05 * _noise(rng, HEIGHT, WIDTH)[..., None]
    _wall(canvas, scene)
    for column in scene.trees:
        _tree(canvas, column, scene, rng)
    return canvas


def scale(scene: Scene, row: float) -> float:
    """Pixels a metre, for what stands on the ground in this row."""
    return (row - scene.horizon) / CAMERA


def _row(lane: Lane, x: Array) -> Array:
    return lane.row + lane.slope * (x - WIDTH / 2)


def _slabs(canvas: Canvas, scene: Scene) -> None:
    """Joints a metre and a half apart in both directions, in perspective."""
    below = np.maximum(canvas.y - scene.horizon, 1)
    across, away = (canvas.x - WIDTH / 2) * CAMERA / below / 1.5, 150 * CAMERA / below / 1.5
    joint = np.minimum(np.abs(across % 1 - 0.5), np.abs(away % 1 - 0.5)) < 0.04
    canvas.colour[...] *= 1 - 0.18 * joint[..., None]


def _wall(canvas: Canvas, scene: Scene) -> None:
    """A building as high as the picture, with two rows of windows."""
    canvas.paint(canvas.y - scene.foot, scene.wall)
    for top in (scene.foot - 34, scene.foot - 16):
        for column in range(12, WIDTH, 24):
            canvas.paint(box(canvas.x - column, canvas.y - top - 5, 12, 11), (0.20, 0.25, 0.30))
    canvas.paint(np.abs(canvas.y - scene.foot) - 1, (0.30, 0.29, 0.28))


def _tree(canvas: Canvas, column: float, scene: Scene, rng: np.random.Generator) -> None:
    """A trunk before the wall and a ragged crown."""
    foot = scene.foot + 6
    canvas.paint(box(canvas.x - column, canvas.y - foot + 14, 3.5, 28), (0.33, 0.26, 0.20))
    crown = disc(canvas.x - column, (canvas.y - foot + 36) * 0.9, 17) + 3 * _noise(rng, 24, 42)
    leaves = np.multiply.outer(1 + 0.15 * _noise(rng, 60, 106), np.asarray((0.22, 0.34, 0.16), np.float32))
    canvas.paint(crown, leaves)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Smooth noise (136, 240) of mean 0, with rows x columns independent values."""
    values = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(Image.fromarray(values).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
