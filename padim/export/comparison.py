"""How far an exported model is from the one that it was made of."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from padim.data.samples import ImageDataset, Sample
from padim.export.facts import Facts
from padim.export.predictor import GraphPredictor, Predictor, Scored
from padim.grids import Grid
from padim.scoring import image_score

BATCHES = (1, 7)


class Difference(NamedTuple):
    """The largest ones between two models.

    Attributes:
        score: over the score.
        maps: of the anomaly map and the level maps, over the image's score.
    """

    score: float
    maps: float

    def within(self, limit: float) -> bool:
        """False of NaN."""
        return self.score <= limit and self.maps <= limit


def drawn_images(count: int, size: Grid, seed: int = 0) -> Tensor:
    """Random images (B, 3, H, W) uint8, from large blobs to noise."""
    generator = torch.Generator().manual_seed(seed)
    images = []
    for i in range(count):
        cells = [min(side, 4 ** (1 + i % 5)) for side in size]
        drawn = torch.rand(1, 3, *cells, generator=generator)
        images.append(functional.interpolate(drawn, size, mode="bilinear"))
    return (256 * torch.cat(images)).to(torch.uint8)


def compare(predictor: Predictor, original: Predictor) -> Difference:
    """On random images, one alone and seven together."""
    batches = [drawn_images(count, original.facts.image_size, seed=count) for count in BATCHES]
    return _largest([(predictor.predict(images), original.predict(images)) for images in batches])


def compare_raw(predictor: GraphPredictor, original: Predictor) -> Difference:
    """On random image files, wide and tall, which the one prepares itself, and the loader for the other."""
    height, width = original.facts.resize
    pairs = []
    for size in ((height + 9, 2 * width), (3 * height, width + 5)):
        raw = drawn_images(3, size).permute(0, 2, 3, 1).contiguous()
        images, valid = loaded(raw, original.facts)
        expected = original.predict(images)
        score = image_score(expected.anomaly_map, valid)
        pairs.append((Scored(*predictor.run(raw)), expected._replace(score=score)))
    return _largest(pairs)


def loaded(raw: Tensor, facts: Facts) -> tuple[Tensor, Tensor]:
    """Pixels (B, H', W', 3) that have been a file, as images (B, 3, H, W), and which pixels are no padding."""
    with TemporaryDirectory() as folder:
        samples = [Sample(Path(folder) / f"{i}.png") for i in range(len(raw))]
        for sample, pixels in zip(samples, raw, strict=True):
            Image.fromarray(pixels.numpy()).save(sample.path)
        dataset = ImageDataset(samples, facts.resize, facts.image_size, facts.interpolation, facts.keep_aspect)
        batch = [dataset[i] for i in range(len(samples))]
    return torch.stack([item.image for item in batch]), torch.stack([item.valid for item in batch])


def seconds_each(predictor: Predictor) -> float:
    """For an image of a batch of seven."""
    images = drawn_images(max(BATCHES), predictor.facts.image_size)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        predictor.predict(images)
        times.append(time.perf_counter() - start)
    return min(times) / len(images)


def _largest(pairs: Sequence[tuple[Scored, Scored]]) -> Difference:
    scores, maps = [], []
    for found, expected in pairs:
        difference = Scored(*((a - b).abs() for a, b in zip(found, expected, strict=True)))
        highest = expected.score[:, None]
        scores.append((difference.score / expected.score).max())
        maps += [(part.flatten(1) / highest).max() for part in difference[1:]]
    return Difference(torch.stack(scores).max().item(), torch.stack(maps).max().item())  # NaN wins
