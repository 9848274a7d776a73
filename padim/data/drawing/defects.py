"""Defects of a surface: each changes a canvas in place, around a random point of the object."""

import numpy as np

from padim.data.drawing.canvas import Array, Canvas, Colour, noise


def scratch(canvas: Canvas, rng: np.random.Generator) -> None:
    """A bent groove that tapers off, 40 to 120 pixels long."""
    x, y = _somewhere(canvas, rng)
    local = canvas.at(x, y, rng.uniform(0, 2 * np.pi))
    length, width, depth = rng.uniform(40, 120), rng.uniform(0.8, 2.0), rng.uniform(0.4, 1.0)
    bend, phase = rng.uniform(-12, 12), rng.uniform(0, 2 * np.pi)
    along = 2 * local.x / length
    middle = bend * along**2 + 0.8 * np.sin(5 * along + phase)
    taper = np.sqrt(np.clip(1 - along**2, 0, None))
    cover = _on_object(canvas, taper * np.clip(width * taper - np.abs(local.y - middle) + 0.5, 0, 1))
    canvas.blend(0.8 * depth * cover, _standing_out(canvas, cover))
    canvas.height[...] -= 2.5 * depth * cover


def stain(canvas: Canvas, rng: np.random.Generator) -> None:
    """A spilt drop: a soft blot with a rim."""
    radius, strength = rng.uniform(8, 24), rng.uniform(0.3, 0.8)
    distance = _blot(canvas, rng, radius, 0.35)
    inside = np.clip(0.5 - distance / 3, 0, 1)
    rim = np.exp(-((distance / 2.5) ** 2))
    cover = _on_object(canvas, strength * np.clip(0.6 * inside + 0.4 * rim * inside, 0, 1))
    canvas.blend(cover, _standing_out(canvas, cover))
    canvas.gloss[...] *= 1 - cover


def hole(canvas: Canvas, rng: np.random.Generator) -> None:
    """A pit with a ragged edge, 2.5 to 8 pixels in radius."""
    distance = _blot(canvas, rng, rng.uniform(2.5, 8), 0.25)
    cover = _on_object(canvas, np.clip(0.5 - distance / 1.5, 0, 1))
    canvas.blend(cover * rng.uniform(0.6, 0.9), (0.04, 0.035, 0.03))
    canvas.height[...] -= 4 * cover
    canvas.gloss[...] *= 1 - cover


def colour(canvas: Canvas, rng: np.random.Generator) -> None:
    """A wrong tint that fades out, over a patch of 12 to 32 pixels in radius; the relief stays."""
    distance = _blot(canvas, rng, rng.uniform(12, 32), 0.4)
    cover = _on_object(canvas, rng.uniform(0.3, 0.7) * np.clip(0.5 - distance / 6, 0, 1))
    hue = 2 * np.pi * (rng.uniform() + np.arange(3) / 3)
    tint = (1 + 0.55 * np.cos(hue)).astype(np.float32)
    canvas.blend(cover, np.clip((0.1 + canvas.colour.mean(axis=2, keepdims=True)) * tint, 0, 1))


def _blot(canvas: Canvas, rng: np.random.Generator, radius: float, roughness: float) -> Array:
    """Signed distance (256, 256), roughly, to an uneven ellipse around a point of the object."""
    x, y = _somewhere(canvas, rng)
    local = canvas.at(x, y, rng.uniform(0, np.pi))
    stretch = rng.uniform(1, 1.5)
    edge = radius * (1 + roughness * np.clip(noise(rng, 12, 12), -1.5, 1.5))
    return np.hypot(local.x / stretch, local.y * stretch) - edge


def _somewhere(canvas: Canvas, rng: np.random.Generator) -> tuple[float, float]:
    """A random point of the object, at least 16 pixels from the border of the picture."""
    inner = np.s_[16:-16, 16:-16]
    index = rng.choice(np.flatnonzero(canvas.height[inner] > 0))
    return float(canvas.x[inner].flat[index]), float(canvas.y[inner].flat[index])


def _standing_out(canvas: Canvas, cover: Array) -> Colour:
    """A pale colour on dark ground, a dark one on pale ground."""
    return (0.76, 0.74, 0.66) if np.average(canvas.colour.mean(axis=2), weights=cover) < 0.4 else (0.16, 0.11, 0.07)


def _on_object(canvas: Canvas, cover: Array) -> Array:
    """``cover`` where the object is, 0 on the table."""
    return cover * (canvas.height > 0)
