"""Parts of a synthetic scene as plain data, and the two defects that change the list of them."""

from typing import NamedTuple

import numpy as np

from padim.data.drawing.canvas import SIZE


class Part(NamedTuple):
    """One part at its place; the category knows how the parts of a name are drawn."""

    name: str
    x: float  # pixels from the centre
    y: float
    angle: float = 0.0  # radians, clockwise
    tone: float = 0.0  # relative brightness


def assemble(layout: tuple[Part, ...], rng: np.random.Generator) -> tuple[Part, ...]:
    """The parts as a machine sets them: 0.4 pixels, half a degree and 5 % of brightness off."""
    offs = rng.normal(0, (0.4, 0.4, 0.01, 0.05), (len(layout), 4))
    return tuple(
        part._replace(x=part.x + dx, y=part.y + dy, angle=part.angle + turn, tone=tone)
        for part, (dx, dy, turn, tone) in zip(layout, offs, strict=True)
    )


def remove(parts: tuple[Part, ...], rng: np.random.Generator) -> tuple[Part, ...]:
    """The parts without one of them."""
    lost = _choose(parts, rng)
    return parts[:lost] + parts[lost + 1 :]


def displace(parts: tuple[Part, ...], rng: np.random.Generator) -> tuple[Part, ...]:
    """The parts with one of them 2 to 6 pixels off on each axis and turned by up to 15 degrees."""
    moved = _choose(parts, rng)
    dx, dy = rng.uniform(2, 6, 2) * rng.choice((-1, 1), 2)
    part = parts[moved]
    part = part._replace(x=part.x + dx, y=part.y + dy, angle=part.angle + np.deg2rad(rng.uniform(-15, 15)))
    return (*parts[:moved], part, *parts[moved + 1 :])


def _choose(parts: tuple[Part, ...], rng: np.random.Generator) -> int:
    """Index of a part that the camera sees wherever the scene is shifted to."""
    name = rng.choice(sorted({part.name for part in parts}))  # so that what there are many of does not rule
    inside = SIZE / 2 - 24
    return int(rng.choice([i for i, p in enumerate(parts) if p.name == name and max(abs(p.x), abs(p.y)) < inside]))
