"""A synthetic object: a populated circuit board."""

from itertools import pairwise

import numpy as np

from padim.data.drawing.canvas import Canvas, box, disc, noise, place, table
from padim.data.drawing.components import BLACK, DRAWERS, FOOTPRINTS, GOLD, footprint
from padim.data.drawing.parts import Part

Point = tuple[float, float]

SOLDER_MASK = (0.04, 0.30, 0.19)
COPPER = (0.08, 0.40, 0.25)  # as seen through the solder mask
VIAS = ((-62, -38), (-62, -24), (-62, -10), (68, -10), (74, -10), (80, -10), (75, 104), (-90, 74), (-90, 82))


def layout() -> tuple[Part, ...]:
    """Every component at its place."""
    return (
        Part("processor", -4, -8),
        *(Part("driver", 74, y) for y in (-46, 14)),
        *(Part("can", -80, y) for y in (-60, -24)),
        Part("coil", -78, 20),
        Part("crystal", -4, -74),
        Part("header", -30, 96),
        *(Part("led", x, 92) for x in (62, 88)),
        *(Part("resistor", x, 56) for x in (-82, -56, -36, -16, 4, 24)),
        *(Part("capacitor", x, 60) for x in (48, 68, 88)),
        *(Part("capacitor", x, -88, np.pi / 2) for x in (-52, 42)),
        Part("resistor", 78, -92, np.pi / 2),
    )


def draw(parts: tuple[Part, ...], rng: np.random.Generator) -> Canvas:
    """The bare board on an antistatic mat, with the pads of the whole layout, and on it the given parts."""
    mat = table((0.27, 0.31, 0.36))
    mat.colour[...] *= 1 + 0.05 * noise(rng, 200, 200)[..., None]
    canvas = place(rng, mat)
    weave = 1 + 0.05 * noise(rng, 256, 256) + 0.05 * noise(rng, 3, 3)
    canvas.paint(box(canvas.x, canvas.y, 234, 234, 8), np.multiply.outer(weave, SOLDER_MASK), rise=4, gloss=0.2)
    for trace in _traces():
        for start, end in pairwise(trace):
            _wire(canvas, start, end)
    for x, y in VIAS:
        _via(canvas.at(x, y, reach=6))
    for x in (-104, 104):
        for y in (-104, 104):
            _mounting_hole(canvas.at(x, y, reach=14))
    for part in layout():
        footprint(_stand(canvas, part), part.name)
    for part in parts:
        DRAWERS[part.name](_stand(canvas, part), part.tone)
    return canvas


def _stand(canvas: Canvas, part: Part) -> Canvas:
    """The window in which a part stands."""
    width, height, _ = FOOTPRINTS[part.name]
    return canvas.at(part.x, part.y, part.angle, reach=int(0.7 * max(width, height)) + 6)


def _traces() -> list[list[Point]]:
    """Polylines of copper: processor to drivers, resistors, power and crystal; resistors to header."""
    lines: list[list[Point]] = []
    for i in range(4):
        lines += [
            [(33, -30 + 5 * i), (40 + 2 * i, -30 + 5 * i), (49 + 2 * i, -62 + 6.6 * i), (57, -62 + 6.6 * i)],
            [(33, -3 + 5 * i), (44 - 2 * i, -3 + 5 * i), (49 - 2 * i, 4 + 6.6 * i), (57, 4 + 6.6 * i)],
            [(-19 + 10 * i, 28), (-19 + 10 * i, 34 + i), (-36 + 20 * i, 42 + i), (-36 + 20 * i, 48)],
            [(-36 + 20 * i, 64), (-36 + 20 * i, 72 + 2 * i), (-49.5 + 13 * i, 82 + i), (-49.5 + 13 * i, 96)],
        ]
    lines += [[(-40, -25 + 10 * i), (-50, -25 + 10 * i), (-55, -38 + 14 * i), (-62, -38 + 14 * i)] for i in range(3)]
    lines += [[(x, -44), (x, -54), (3 * x + 8, -60), (3 * x + 8, -74)] for x in (-9, 1)]
    lines += [[(x, 68), (x, 76), (75, 80), (75, 104)] for x in (48, 68, 88)]
    lines += [[(74 + 6 * i, -24), (74 + 6 * i, -10)] for i in range(-1, 2)]
    lines += [[(-100 - 4 * i, -80), (-100 - 4 * i, 64 + 4 * i), (-90, 74 + 8 * i)] for i in range(2)]
    return lines


def _wire(canvas: Canvas, start: Point, end: Point) -> None:
    """A straight piece of trace, round at both ends."""
    (x, y), (dx, dy) = np.mean((start, end), axis=0), np.subtract(end, start)
    length = float(np.hypot(dx, dy))
    local = canvas.at(x, y, np.arctan2(dy, dx), reach=int(length / 2) + 4)
    local.paint(box(local.x, local.y, length + 2, 2, 1), COPPER, rise=0.4, gloss=0.2)


def _via(local: Canvas) -> None:
    """A plated hole."""
    local.paint(disc(local.x, local.y, 3.2), GOLD, gloss=0.5)
    local.paint(disc(local.x, local.y, 1.3), BLACK)


def _mounting_hole(local: Canvas) -> None:
    """A hole for a screw in a ring of copper."""
    local.paint(disc(local.x, local.y, 9), GOLD, rise=0.5, gloss=0.5)
    local.paint(disc(local.x, local.y, 5.5), (0.2, 0.22, 0.25), rise=-4)
