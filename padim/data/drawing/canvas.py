"""The synthetic data set's drawing table: a canvas with relief, a few shapes, one lamp and one camera.

A scene is painted as colour and height and then lit, so a groove, a missing part and its shadow follow from one rule.
Places and lengths are pixels; the origin is the centre of the picture, x points right, y down; angles turn clockwise.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 256

Array = npt.NDArray[np.floating[Any]]  # float32, unless a numpy scalar made it float64
Colour = tuple[float, float, float]


class Canvas(NamedTuple):
    """What lies before the camera; painting changes it in place. H = W = 256, or less in a window."""

    x: Array  # (H, W), of every pixel, in the frame that is drawn in
    y: Array  # (H, W)
    colour: Array  # (H, W, 3), in [0, 1]
    height: Array  # (H, W), in pixels; 0 is the table, so whatever is higher belongs to the object
    gloss: Array  # (H, W), in [0, 1], strength of the highlights

    def at(self, x: float, y: float, angle: float = 0.0, reach: int = SIZE) -> "Canvas":
        """A window of ``reach`` pixels around (x, y), a place in the picture; its axes are turned by ``angle``."""
        # The frame is the picture's, turned and shifted: one step to the right is (right_x, right_y) in it.
        x, y, angle = float(x), float(y), float(angle)  # numpy scalars would make float64 of the whole window
        from_x, from_y = x - float(self.x[0, 0]), y - float(self.y[0, 0])
        right_x, right_y = float(self.x[0, 1] - self.x[0, 0]), float(self.y[0, 1] - self.y[0, 0])
        column, row = round(from_x * right_x + from_y * right_y), round(from_y * right_x - from_x * right_y)
        window = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        dx, dy = self.x[window] - x, self.y[window] - y
        cos, sin = math.cos(angle), math.sin(angle)
        return Canvas(
            cos * dx + sin * dy, cos * dy - sin * dx, self.colour[window], self.height[window], self.gloss[window]
        )

    def paint(
        self, distance: Array, colour: Colour | Array, rise: float = 0.0, bevel: float = 1.0, gloss: float = 0.0
    ) -> None:
        """Paint a shape, given as signed distance (H, W), and raise it over ``bevel`` pixels inwards from its edge."""
        cover = np.clip(0.5 - distance, 0, 1)
        self.blend(cover, colour)
        self.gloss[...] += cover * (gloss - self.gloss)
        self.height[...] += rise * np.clip((0.5 - distance) / bevel, 0, 1)

    def blend(self, cover: Array, colour: Colour | Array) -> None:
        """Mix a colour in, ``cover`` (H, W) in [0, 1] of it."""
        self.colour[...] += cover[..., None] * (np.asarray(colour, np.float32) - self.colour)


def table(colour: Colour) -> Canvas:
    """An empty canvas, (256, 256)."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) - (SIZE - 1) / 2
    zeros = np.zeros((SIZE, SIZE), np.float32)
    return Canvas(x, y, np.tile(np.asarray(colour, np.float32), (SIZE, SIZE, 1)), zeros, zeros.copy())


def place(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """The canvas in the frame of an object that is laid down by hand: up to 2 pixels and 1.2 degrees off."""
    (x, y), angle = rng.uniform(-2, 2, 2), np.deg2rad(rng.uniform(-1.2, 1.2))
    return canvas.at(x, y, angle)


def noise(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Smooth noise (256, 256) of mean 0 and about unit variance, with rows x columns independent values."""
    values = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(Image.fromarray(values).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def disc(x: Array, y: Array, radius: float) -> Array:
    """Signed distance to a circle, negative inside."""
    return np.hypot(x, y) - radius


def box(x: Array, y: Array, width: float, height: float, corner: float = 0.0) -> Array:
    """Signed distance to a rectangle around the origin with rounded corners, negative inside."""
    dx, dy = np.abs(x) - width / 2 + corner, np.abs(y) - height / 2 + corner
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - corner


class Light(NamedTuple):
    """A lamp at the upper left and the evenness of its light."""

    direction: tuple[float, float, float]  # unit vector to the lamp
    level: Array  # (256, 256), brightness


def light(rng: np.random.Generator) -> Light:
    """The lamp on one day: up to 6 % brighter or darker, 5 % uneven to each side, and turned by up to 5 degrees."""
    azimuth, elevation = np.deg2rad(225 + rng.uniform(-5, 5)), np.deg2rad(50)
    flat = np.cos(elevation)
    direction = (float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(np.sin(elevation)))
    gain, (right, down) = rng.uniform(0.94, 1.06), rng.uniform(-0.05, 0.05, 2)
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)
    return Light(direction, gain * (1 + right * ramp + down * ramp[:, None]))


def shade(canvas: Canvas, light: Light) -> Array:
    """The canvas under a lamp (256, 256, 3): diffuse light, highlights and cast shadows. 1 is white; may exceed it."""
    (lx, ly, lz), (slope_y, slope_x) = light.direction, np.gradient(canvas.height)
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = np.clip((lz - lx * slope_x - ly * slope_y) / length, 0, None) / lz
    # Half way between the lamp and the camera, which looks straight down: what faces it shines.
    half = np.sqrt(2 + 2 * lz)
    shine = np.clip((1 + lz - lx * slope_x - ly * slope_y) / (length * half), 0, 1) ** 40
    lit = 0.35 + 0.65 * diffuse * (1 - 0.75 * shadow(canvas.height))
    return (canvas.colour * lit[..., None] + 0.6 * (canvas.gloss * shine)[..., None]) * light.level[..., None]


def shadow(height: Array, longest: int = 12) -> Array:
    """How much of the lamp is hidden, (256, 256) in [0, 1]: march towards the upper left, where the lamp stands."""
    over = np.zeros_like(height)
    for step in range(1, longest + 1):
        ahead = height[:-step, :-step] - height[step:, step:] - 1.4 * step
        np.maximum(over[step:, step:], ahead, out=over[step:, step:])
    return np.clip(over / 2, 0, 1)


def sensor_noise(rng: np.random.Generator) -> Array:
    """Read-out noise (256, 256, 3) of 1.2 % of white."""
    return np.float32(0.012) * rng.standard_normal((SIZE, SIZE, 3), np.float32)


def quantise(picture: Array) -> npt.NDArray[np.uint8]:
    """Eight bits per channel, clipped as a camera clips."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
