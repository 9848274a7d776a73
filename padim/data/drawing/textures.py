"""Synthetic textures: nothing in them has a fixed place."""

import numpy as np

from padim.data.drawing.canvas import Array, Canvas, noise, table
from padim.data.drawing.parts import Part

PITCH = 8  # pixels from thread to thread
INDIGO = (0.25, 0.34, 0.57)
ECRU = (0.73, 0.72, 0.66)


def threads(rng: np.random.Generator) -> tuple[Part, ...]:
    """Warp (vertical) and weft of a cloth larger than the picture, each with its own place and tone."""
    middles = PITCH * (np.arange(-20, 20) + 0.5)
    tones = rng.normal(0, 0.04, (2, len(middles)))
    places = middles + rng.normal(0, 0.35, tones.shape)
    warp = (Part("warp", x, 0, tone=tone) for x, tone in zip(places[0], tones[0], strict=True))
    weft = (Part("weft", 0, y, tone=tone) for y, tone in zip(places[1], tones[1], strict=True))
    return (*warp, *weft)


def fabric(parts: tuple[Part, ...], rng: np.random.Generator) -> Canvas:
    """Denim: an indigo warp and an ecru weft, two over and two under, stepping by one from thread to thread."""
    canvas = table((0.08, 0.08, 0.10))
    x = canvas.x + rng.uniform(-2 * PITCH, 2 * PITCH) + 1.2 * noise(rng, 5, 4)
    y = canvas.y + rng.uniform(-2 * PITCH, 2 * PITCH) + 1.2 * noise(rng, 4, 5)
    warp, warp_tone = _across(x, sorted((p.x, p.tone) for p in parts if p.name == "warp"))
    weft, weft_tone = _across(y, sorted((p.y, p.tone) for p in parts if p.name == "weft"))
    # The waves of the threads about the cloth's middle. Where warp i crosses weft j, both phases are j - i + 1/2.
    over = np.cos(np.pi / 2 * (y / PITCH - np.floor(x / PITCH)))
    under = np.cos(np.pi / 2 * (np.floor(y / PITCH) - x / PITCH + 1))
    warp_height, weft_height = 3 + 2 * warp + over, 3 + 2 * weft - under
    warp_tone = warp_tone + 0.08 * noise(rng, 40, 256)  # fibres run along their thread
    weft_tone = weft_tone + 0.06 * noise(rng, 256, 40)
    canvas.blend((warp > 0).astype(np.float32), np.multiply.outer(1 + warp_tone, INDIGO))
    on_top = np.where(warp > 0, weft_height > warp_height, True) & (weft > 0)
    canvas.blend(on_top.astype(np.float32), np.multiply.outer(1 + weft_tone, ECRU))
    canvas.height[...] = np.where(on_top, weft_height, np.where(warp > 0, warp_height, 1))
    return canvas


def _across(place: Array, lane: list[tuple[float, float]]) -> tuple[Array, Array]:
    """Round profile in [0, 1] and tone, both (256, 256), of the nearest of the threads that run across ``place``."""
    middles, tones = np.asarray(lane, np.float32).T
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, place)
    offset = (place - middles[nearest]) / (PITCH / 2)
    return np.sqrt(np.clip(1 - offset**2, 0, None)), tones[nearest]


def wood(parts: tuple[Part, ...], rng: np.random.Generator) -> Canvas:
    """A flat-sawn plank: year rings cut at a small angle, fibres and pores along x. It has no parts."""
    canvas = table((0, 0, 0))
    pith = rng.uniform(-160, 160)
    depth = np.hypot(canvas.y - pith, 0.15 * (canvas.x - rng.uniform(-300, 300))) + 5 * noise(rng, 4, 3)
    rings = depth / rng.uniform(13, 17) + 0.25 * noise(rng, 10, 3)
    late = rings % 1
    late = late**3 * np.clip((1 - late) / 0.12, 0, 1)  # dark late wood ends sharply
    fibre = noise(rng, 256, 14)
    pores = np.clip(noise(rng, 256, 24) - 1.6, 0, 1)
    streaks = np.clip(noise(rng, 48, 8) - 1.5, 0, 1)
    tone = 1 + 0.05 * rng.standard_normal() + 0.04 * noise(rng, 4, 4) + 0.03 * fibre - 0.3 * pores - 0.25 * streaks
    light, dark = np.asarray((0.80, 0.60, 0.39), np.float32), np.asarray((0.55, 0.34, 0.18), np.float32)
    canvas.colour[...] = (light + late[..., None] * (dark - light)) * tone[..., None]
    canvas.height[...] = 5 + 0.08 * fibre - 0.5 * pores + 0.15 * late
    canvas.gloss[...] = 0.15
    return canvas
