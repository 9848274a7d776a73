"""Who is on the campus, seen from the side: people on foot, and the cyclists and vans that do not belong there."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from padim.data.drawing.canvas import Array, Canvas, Colour, box, disc

RUBBER: Colour = (0.10, 0.10, 0.11)
SKIN: Colour = (0.72, 0.55, 0.44)
Clothes = tuple[Colour, Colour]  # above and below


class Pen(NamedTuple):
    """A window of the picture in a figure's own metres: x forward, y up from the ground below its middle."""

    canvas: Canvas
    x: Array  # (H, W)
    y: Array  # (H, W)
    scale: float  # pixels a metre

    def paint(self, distance: Array, colour: Colour) -> None:
        """Paint a shape, given as its signed distance (H, W) in metres."""
        self.canvas.paint(distance * self.scale, colour)

    def limb(self, start: tuple[float, float], end: tuple[float, float], thickness: float, colour: Colour) -> None:
        """Paint a line with round ends."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        self.paint(np.hypot(self.x - x0 - along * dx, self.y - y0 - along * dy) - thickness / 2, colour)

    def shadow(self, length: float) -> None:
        """Darken the ground below; the lamp is the sky."""
        edge = np.hypot(self.x / length, self.y / 0.25) - 1
        self.canvas.colour[...] *= 1 - 0.4 * np.clip(0.5 - 4 * edge, 0, 1)[..., None]


def stand(canvas: Canvas, x: float, row: float, scale: float, facing: float, metres: float) -> Pen | None:
    """The pen for a figure whose foot is there; None where the picture shows nothing of it.

    Args:
        facing: 1 to the right, -1 to the left.
        metres: how far from its foot the figure reaches.
    """
    reach = int(np.ceil(metres * scale))
    if not -reach < x < canvas.x[0, -1] + reach:
        return None
    window = canvas.at(x, row, reach=reach)
    return Pen(window, facing * window.x / scale, -window.y / scale, scale)


def walker(pen: Pen, clothes: Clothes, stride: float) -> None:
    """Somebody on foot, 1.75 m tall.

    Args:
        stride: where in the step, in radians.
    """
    swing = float(np.sin(stride))
    pen.shadow(0.45)
    for side in (-1, 1):
        pen.limb((0, 0.88), (0.32 * side * swing, 0.06), 0.17, clothes[1])
    pen.limb((0, 0.95), (0.03, 1.40), 0.36, clothes[0])
    pen.limb((0.02, 1.40), (-0.25 * swing, 0.95), 0.11, clothes[0])
    pen.paint(disc(pen.x - 0.05, pen.y - 1.66, 0.13), SKIN)


def cyclist(pen: Pen, clothes: Clothes, stride: float) -> None:
    """A bicycle and who rides it."""
    pen.shadow(0.9)
    for wheel in (-0.55, 0.55):
        pen.paint(np.abs(disc(pen.x - wheel, pen.y - 0.36, 0.34)) - 0.03, RUBBER)
    for start, end in (((-0.55, 0.36), (0, 0.36)), ((0, 0.36), (0.45, 0.85)), ((-0.15, 0.9), (0, 0.36))):
        pen.limb(start, end, 0.06, (0.65, 0.12, 0.10))
    pen.limb((-0.55, 0.36), (-0.15, 0.85), 0.05, (0.65, 0.12, 0.10))
    pen.limb((0.45, 0.95), (0.55, 0.36), 0.06, RUBBER)
    foot = (0.16 * float(np.cos(stride)), 0.36 + 0.16 * float(np.sin(stride)))
    pen.limb((-0.15, 1.0), (0.2, 0.75), 0.17, clothes[1])
    pen.limb((0.2, 0.75), foot, 0.13, clothes[1])
    pen.limb((-0.15, 1.05), (0.2, 1.5), 0.33, clothes[0])
    pen.limb((0.2, 1.45), (0.45, 1.0), 0.11, clothes[0])
    pen.paint(disc(pen.x - 0.34, pen.y - 1.73, 0.14), SKIN)


def van(pen: Pen, clothes: Clothes, stride: float) -> None:
    """A delivery van, 4.4 m long, in the colour of the upper clothes."""
    pen.shadow(2.4)
    pen.paint(box(pen.x + 0.3, pen.y - 1.15, 3.8, 1.7, 0.2), clothes[0])
    pen.paint(box(pen.x - 1.6, pen.y - 0.75, 1.2, 0.9, 0.25), clothes[0])
    pen.paint(box(pen.x - 1.05, pen.y - 1.5, 0.8, 0.6, 0.1), (0.15, 0.19, 0.23))
    pen.paint(box(pen.x + 0.7, pen.y - 1.25, 1.6, 0.5, 0.05), (0.80, 0.82, 0.84))
    for wheel in (-1.35, 1.3):
        pen.paint(disc(pen.x - wheel, pen.y - 0.34, 0.34), RUBBER)
        pen.paint(disc(pen.x - wheel, pen.y - 0.34, 0.16), (0.55, 0.56, 0.58))


class Figure(NamedTuple):
    """How a figure is drawn, and how many metres it reaches from its foot."""

    draw: Callable[[Pen, Clothes, float], None]
    reach: float


FIGURES = {"walker": Figure(walker, 1.9), "cyclist": Figure(cyclist, 2.0), "van": Figure(van, 2.6)}
