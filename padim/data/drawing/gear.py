"""A synthetic object: a gear wheel of brushed steel on a rubber mat."""

import numpy as np

from padim.data.drawing.canvas import Array, Canvas, Colour, box, disc, noise, place, table
from padim.data.drawing.parts import Part

STEEL = (0.56, 0.57, 0.59)
MAT = (0.16, 0.18, 0.21)


def layout() -> tuple[Part, ...]:
    """Twenty teeth on the rim and six bolts on a circle."""
    teeth = 2 * np.pi * np.arange(20) / 20
    bolts = 2 * np.pi * np.arange(6) / 6
    return (
        *(Part("tooth", 96 * np.cos(a), 96 * np.sin(a), a) for a in teeth),
        *(Part("bolt", 57 * np.cos(a), 57 * np.sin(a), a) for a in bolts),
    )


def draw(parts: tuple[Part, ...], rng: np.random.Generator) -> Canvas:
    """The wheel with its bore, keyway, slots and bolts, laid down by hand."""
    mat = table(MAT)
    mat.colour[...] *= 1 + 0.07 * noise(rng, 128, 128)[..., None]
    canvas = place(rng, mat)
    face = _brushed(canvas, rng)
    canvas.paint(_outline(canvas, parts), face, rise=7, bevel=3, gloss=0.5)
    canvas.paint(np.abs(disc(canvas.x, canvas.y, 78)) - 1.5, 0.8 * face, rise=-2, bevel=1.5, gloss=0.5)
    for angle in 2 * np.pi * (np.arange(6) + 0.5) / 6:
        slot = canvas.at(57 * np.cos(angle), 57 * np.sin(angle), angle, reach=24)
        _sink(slot, box(slot.x, slot.y, 20, 26, corner=9))
    canvas.paint(disc(canvas.x, canvas.y, 36), face, rise=4, bevel=2.5, gloss=0.6)
    _sink(canvas, np.minimum(disc(canvas.x, canvas.y, 18), box(canvas.x, canvas.y + 18, 9, 14)))
    for part in layout():
        if part.name == "bolt":
            thread = canvas.at(part.x, part.y, reach=16)
            thread.paint(disc(thread.x, thread.y, 5.5), MAT)  # shows where a bolt is missing
    for part in parts:
        if part.name == "bolt":
            _bolt(canvas.at(part.x, part.y, part.angle, reach=16), part.tone)
    return canvas


def _outline(canvas: Canvas, parts: tuple[Part, ...]) -> Array:
    """Signed distance to the wheel: a disc and its tapered teeth."""
    distance = disc(canvas.x, canvas.y, 93)
    for part in parts:
        if part.name == "tooth":
            tooth = canvas.at(part.x, part.y, part.angle)
            taper = np.abs(tooth.y) - 7.5 + 0.22 * tooth.x
            distance = np.minimum(distance, np.maximum(taper, np.abs(tooth.x) - 13))
    return distance


def _brushed(canvas: Canvas, rng: np.random.Generator) -> Array:
    """Colour (256, 256, 3) of steel turned on a lathe: fine rings, and the fans of light that they throw."""
    radius, angle = np.hypot(canvas.x, canvas.y), np.arctan2(canvas.y, canvas.x)
    rings = noise(rng, 256, 24)  # one row a ring
    grain = rings[radius.astype(int), ((angle / (2 * np.pi)) % 1 * 255).astype(int)]
    fans = np.cos(2 * angle + np.pi / 2) ** 3
    return np.multiply.outer(1 + 0.045 * grain + 0.20 * fans, np.asarray(STEEL, np.float32))


def _sink(canvas: Canvas, distance: Array) -> None:
    """Cut a shape through to the mat."""
    cover = np.clip(0.5 - distance, 0, 1)
    canvas.blend(cover, MAT)
    canvas.gloss[...] *= 1 - cover
    canvas.height[...] *= 1 - cover


def _bolt(canvas: Canvas, tone: float) -> None:
    """A blackened socket-head bolt with its washer."""
    head: Colour = (0.24 * (1 + tone), 0.23 * (1 + tone), 0.23 * (1 + tone))
    canvas.paint(disc(canvas.x, canvas.y, 13), (0.66, 0.62, 0.52), rise=1.5, bevel=1.5, gloss=0.5)
    canvas.paint(disc(canvas.x, canvas.y, 9.5), head, rise=5, bevel=3, gloss=0.8)
    turns = np.pi / 3 * np.arange(3)
    socket = np.max([np.abs(canvas.x * np.cos(t) + canvas.y * np.sin(t)) for t in turns], axis=0) - 4.5
    canvas.paint(socket, (0.05, 0.05, 0.05), rise=-3, bevel=1.5)
