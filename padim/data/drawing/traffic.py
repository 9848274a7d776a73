"""Who crosses the picture in a video, when, and what the camera then sees."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from padim.data.drawing.campus import WIDTH, Lane, Scene, scale
from padim.data.drawing.canvas import Array, Canvas, Colour
from padim.data.drawing.figures import FIGURES, Clothes, stand

SPACING = 55  # pixels of a lane for each of its walkers, on average
PACE = 0.35  # metres a frame, on foot
GARMENTS: tuple[Colour, ...] = (
    (0.15, 0.17, 0.22),
    (0.22, 0.28, 0.42),
    (0.45, 0.43, 0.40),
    (0.62, 0.60, 0.56),
    (0.38, 0.20, 0.20),
    (0.25, 0.33, 0.26),
)


class Actor(NamedTuple):
    """One figure on its way along a lane."""

    name: str  # of FIGURES
    lane: Lane
    off: float  # rows from the lane's middle
    start: float  # column in frame 0
    speed: float  # columns a frame; negative to the left
    clothes: Clothes
    step: float  # radians a frame


def walkers(scene: Scene, frames: int, rng: np.random.Generator) -> list[Actor]:
    """People on every lane, in both directions, as many at the end of the video as at its beginning."""
    actors = []
    for lane in scene.lanes:
        size = scale(scene, lane.row)
        way = PACE * size * frames  # so far ahead starts who arrives in the last frame
        for _ in range(round((WIDTH + 2 * way) / SPACING)):
            speed = float(PACE * size * rng.uniform(0.8, 1.2) * rng.choice((-1, 1)))
            start, off = float(rng.uniform(-way, WIDTH + way)), float(rng.uniform(-1, 1) * lane.breadth)
            actors.append(Actor("walker", lane, off, start, speed, _clothes(rng), float(rng.uniform(0.9, 1.2))))
    return actors


def intruder(scene: Scene, kind: str, frames: int, rng: np.random.Generator) -> Actor:
    """A cyclist or a van that crosses in about half of the video, from its first third on."""
    lane = scene.lanes[int(rng.integers(len(scene.lanes)))]
    margin = FIGURES[kind].reach * scale(scene, lane.row + lane.breadth)
    speed = float((WIDTH + 2 * margin) / (0.5 * frames) * rng.choice((-1, 1)))
    entry = -margin if speed > 0 else WIDTH + margin
    start = entry - speed * frames * rng.uniform(0.15, 0.35)
    clothes = ((0.85, 0.84, 0.80), GARMENTS[0]) if kind == "van" else _clothes(rng)
    return Actor(kind, lane, float(rng.uniform(-0.5, 0.5) * lane.breadth), float(start), speed, clothes, 0.8)


def picture(scene: Scene, place: Canvas, actors: Sequence[Actor], frame: int) -> Array:
    """What there is to see in a frame, (136, 240, 3): who is farther away is hidden by who is nearer."""
    canvas = place._replace(colour=place.colour.copy())
    positions = [_position(actor, frame) for actor in actors]
    for (x, row), actor in sorted(zip(positions, actors, strict=True), key=lambda pair: pair[0][1]):
        figure, facing = FIGURES[actor.name], 1 if actor.speed > 0 else -1
        pen = stand(canvas, x, row, scale(scene, row), facing, figure.reach)
        if pen is not None:
            figure.draw(pen, actor.clothes, actor.step * frame + actor.start)
    return canvas.colour


def _position(actor: Actor, frame: int) -> tuple[float, float]:
    """Column and row of the foot."""
    x = actor.start + actor.speed * frame
    return x, actor.lane.row + actor.lane.slope * (x - WIDTH / 2) + actor.off


def _clothes(rng: np.random.Generator) -> Clothes:
    above, below = rng.integers(len(GARMENTS), size=2)
    return GARMENTS[above], GARMENTS[below]
