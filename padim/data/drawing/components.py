"""Components of the synthetic circuit board. Each draws itself in a window of its own, with its middle at (0, 0)."""

from collections.abc import Callable

import numpy as np

from padim.data.drawing.canvas import Canvas, Colour, box, disc

GOLD = (0.80, 0.66, 0.36)
SILVER = (0.68, 0.69, 0.70)
BLACK = (0.11, 0.11, 0.12)
INK = (0.86, 0.88, 0.85)

Pins = list[tuple[float, float, float, float]]  # x, y, width, height


def footprint(local: Canvas, name: str) -> None:
    """Outline in white ink and gold pads: what remains when a part is missing."""
    width, height, pads = FOOTPRINTS[name]
    local.paint(np.abs(box(local.x, local.y, width, height, 1.5)) - 0.6, INK)
    for x, y, pad_width, pad_height in pads:
        pad = local.at(x, y, reach=16)
        pad.paint(box(pad.x, pad.y, pad_width, pad_height, 1), GOLD, gloss=0.5)


def _side_pins(x: float, count: int, pitch: float, width: float, height: float) -> Pins:
    """Pins on the left and the right side, ``x`` from the middle."""
    places = pitch * (np.arange(count) - (count - 1) / 2)
    return [(side, float(y), width, height) for side in (-x, x) for y in places]


PROCESSOR = _side_pins(33, 10, 5, 9, 2.6)
PROCESSOR += [(y, x, height, width) for x, y, width, height in PROCESSOR]  # four sides
DRIVER = _side_pins(17, 6, 6.6, 9, 3)
HEADER: Pins = [(13.0 * i - 45.5, 0.0, 7.0, 7.0) for i in range(8)]
CHIP = [(0.0, -8.0, 12.0, 8.0), (0.0, 8.0, 12.0, 8.0)]

# Width and height of the printed outline, and the pads.
FOOTPRINTS: dict[str, tuple[float, float, Pins]] = {
    "processor": (56, 56, PROCESSOR),
    "driver": (26, 46, DRIVER),
    "can": (34, 34, [(-6, 0, 5, 10), (6, 0, 5, 10)]),
    "coil": (38, 34, [(-14, 0, 8, 18), (14, 0, 8, 18)]),
    "crystal": (46, 20, [(-14, 0, 9, 9), (14, 0, 9, 9)]),
    "header": (110, 19, HEADER),
    "led": (22, 16, [(-7, 0, 6, 10), (7, 0, 6, 10)]),
    "resistor": (16, 28, CHIP),
    "capacitor": (16, 28, CHIP),
}


def _package(local: Canvas, tone: float, pins: Pins, size: float, label: float) -> None:
    """A black chip: legs, body, the dot at pin 1 and two lines of print."""
    for x, y, pin_width, pin_height in pins:
        pin = local.at(x, y, reach=8)
        pin.paint(box(pin.x, pin.y, pin_width, pin_height), SILVER, rise=1.5, gloss=0.8)
    width = 2 * abs(pins[0][0]) - 8
    local.paint(box(local.x, local.y, width, size, 1.5), _bright(BLACK, tone), rise=6, bevel=2, gloss=0.25)
    local.paint(disc(local.x + width / 2 - 5, local.y + size / 2 - 5, 1.8), (0.3, 0.3, 0.3), rise=-0.5)
    for line in range(2):
        gaps = 1.2 - np.abs(local.x * 1.9 % 6 - 3)  # between letters
        local.paint(np.maximum(box(local.x, local.y - 7 * line + 2, label, 3.4), gaps), (0.50, 0.50, 0.49))


def _can(local: Canvas, tone: float) -> None:
    """An electrolytic capacitor, its minus side marked."""
    distance = disc(local.x, local.y, 14.5)
    local.paint(distance, _bright(SILVER, tone), rise=9, bevel=3, gloss=0.6)
    local.paint(np.maximum(distance + 3, local.x + 6), BLACK)


def _coil(local: Canvas, tone: float) -> None:
    """A shielded inductor."""
    local.paint(box(local.x, local.y, 34, 30, 3), _bright((0.30, 0.31, 0.33), tone), rise=6, bevel=2, gloss=0.2)
    local.paint(disc(local.x, local.y, 11), _bright((0.42, 0.30, 0.22), tone), rise=-2, bevel=2)
    local.paint(
        np.abs(disc(local.x, local.y, 6)) - 2, _bright((0.72, 0.42, 0.22), tone), rise=1.5, bevel=1.5, gloss=0.4
    )


def _crystal(local: Canvas, tone: float) -> None:
    """A quartz in its pressed case."""
    local.paint(box(local.x, local.y, 42, 16, 8), _bright(SILVER, tone), rise=3, gloss=0.6)
    local.paint(box(local.x, local.y, 36, 11, 5.5), _bright(SILVER, tone + 0.05), rise=3, bevel=2, gloss=0.6)


def _header(local: Canvas, tone: float) -> None:
    """A strip of pins."""
    local.paint(box(local.x, local.y, 106, 14, 1), _bright(BLACK, tone), rise=4, bevel=1.5, gloss=0.1)
    for x, *_ in HEADER:
        pin = local.at(x, 0, reach=8)
        pin.paint(box(pin.x, pin.y, 6, 6), GOLD, rise=5, bevel=1.5, gloss=0.7)


def _led(local: Canvas, tone: float) -> None:
    """A red light-emitting diode."""
    local.paint(box(local.x, local.y, 18, 11, 1), (0.88, 0.87, 0.82), rise=3, gloss=0.2)
    local.paint(disc(local.x, local.y, 4.5), _bright((0.80, 0.16, 0.12), tone), rise=2, bevel=3, gloss=0.9)


def _resistor(local: Canvas, tone: float) -> None:
    """A black resistor with tinned ends and its value in print."""
    local.paint(box(local.x, local.y, 10, 22, 1), SILVER, rise=3, bevel=1.5, gloss=0.6)
    local.paint(box(local.x, local.y, 10.5, 13), _bright((0.13, 0.13, 0.15), tone), rise=0.6, gloss=0.2)
    local.paint(np.maximum(box(local.x, local.y, 3.5, 9), 0.8 - np.abs(local.y % 3.4 - 1.7)), INK)


def _capacitor(local: Canvas, tone: float) -> None:
    """A brown ceramic capacitor with tinned ends."""
    local.paint(box(local.x, local.y, 11, 22, 1), SILVER, rise=5, bevel=2, gloss=0.6)
    local.paint(box(local.x, local.y, 11.5, 12), _bright((0.58, 0.43, 0.28), tone), rise=0.6, gloss=0.2)


def _bright(colour: Colour, tone: float) -> Colour:
    """A colour, relatively brighter by ``tone``."""
    red, green, blue = colour
    return (red * (1 + tone), green * (1 + tone), blue * (1 + tone))


DRAWERS: dict[str, Callable[[Canvas, float], None]] = {
    "processor": lambda local, tone: _package(local, tone, PROCESSOR, size=58, label=30),
    "driver": lambda local, tone: _package(local, tone, DRIVER, size=44, label=16),
    "can": _can,
    "coil": _coil,
    "crystal": _crystal,
    "header": _header,
    "led": _led,
    "resistor": _resistor,
    "capacitor": _capacitor,
}
