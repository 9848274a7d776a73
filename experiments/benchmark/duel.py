"""What the comparison with anomalib measures, each in a process of its own.

The processes are ``python -m experiments.benchmark.duel FUNCTION ARGUMENT ...``.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from experiments.benchmark.contenders import CONTENDERS, MODELS, Contender, fit
from experiments.benchmark.timing import Pair, repeat, seconds
from padim.commands.run import peak_memory_mb
from padim.data.module import ImageDataModule
from padim.data.mvtec import MVTec
from padim.data.synthetic import generate

GB_PER_MIB = 2**20 / 1e9
BATCH = 32


def draw_images(folder: Path, train: int, per_kind: int) -> Path:
    """A file of training and of test images; returns it."""
    generate(folder / "board", "board", 0, train, test_good=2, per_kind=per_kind)
    data = ImageDataModule(MVTec(folder, "board"), resize=(256, 256), image_size=(224, 224))
    data.setup("fit")
    loaders = {"train": data.train_dataloader(), "test": data.test_dataloader()}
    images = {split: torch.cat([batch.image for batch in loader]) for split, loader in loaders.items()}
    torch.save(images, folder / "images.pt")
    return folder / "images.pt"


def batches(images: Tensor, count: int) -> Iterator[Tensor]:
    """So many images, those that there are over and over, in batches."""
    for indices in torch.arange(count).split(BATCH):
        yield images[indices % len(images)]


def print_fit(side: str, model: str, images: str, count: str, path: str = "") -> None:
    """Seconds of a fit and the peak of memory, GB; the fitted statistics go into ``path``."""
    drawn = torch.load(images)["train"]
    contender = CONTENDERS[side](MODELS[model])
    contender.features(drawn[:BATCH])  # whatever the first call prepares
    taken = seconds(lambda: fit(contender, batches(drawn, int(count))))
    print(json.dumps({"seconds": taken, "gigabytes": peak_memory_mb() * GB_PER_MIB}))
    if path:
        contender.save(Path(path))


def print_peak_of_scoring(side: str, model: str, images: str, path: str) -> None:
    """Peak of memory, GB, of a process that loads what is fitted and scores a batch."""
    contender = CONTENDERS[side](MODELS[model])
    contender.load(Path(path))
    with torch.inference_mode():
        contender.score(torch.load(images)["test"][:BATCH])
    print(json.dumps(peak_memory_mb() * GB_PER_MIB))


def print_scoring(model: str, images: str, ours: str, theirs: str, repetitions: str) -> None:
    """Milliseconds per image of whole predictions and of the Mahalanobis stage, and how far the distances agree."""
    test = torch.load(images)["test"][:BATCH]
    sides = [CONTENDERS[side](MODELS[model]) for side in ("padim", "anomalib")]
    for side, path in zip(sides, (ours, theirs), strict=True):
        side.load(Path(path))
    found: dict[str, object] = {}
    with torch.inference_mode():
        for size in (1, len(test)):
            parts = test.split(size)[:8]
            for what, step in {"scores": scores, "stage": stage, "maps": maps}.items():
                steps = [step(side, parts) for side in sides]
                pairs = interleaved(*steps, int(repetitions))
                found[f"{what} {size}"] = [[1000 * s / size / len(parts) for s in pair] for pair in pairs]
        ours_m, theirs_m = (side.distances(test) for side in sides)
    found["disagreement"] = float(((ours_m - theirs_m).abs() / theirs_m.clamp_min(1e-3)).max())
    found["largest"] = float(theirs_m.max())
    print(json.dumps(found))


def interleaved(one: list[Callable[[], object]], other: list[Callable[[], object]], repetitions: int) -> list[Pair]:
    """Seconds of the calls of both, in turn, once more than counted for what the first ones prepare."""

    def measure() -> Pair:
        each = [(seconds(ours), seconds(theirs)) for ours, theirs in zip(one, other, strict=True)]
        of_ours, of_theirs = zip(*each, strict=True)
        return sum(of_ours), sum(of_theirs)

    measure()
    return repeat(measure, repetitions)


def scores(contender: Contender, parts: tuple[Tensor, ...]) -> list[Callable[[], object]]:
    """From images to scores."""
    return [lambda part=part: contender.score(part) for part in parts]


def stage(contender: Contender, parts: tuple[Tensor, ...]) -> list[Callable[[], object]]:
    """The Mahalanobis stage."""
    return [contender.embedded(contender.features(part)) for part in parts]


def maps(contender: Contender, parts: tuple[Tensor, ...]) -> list[Callable[[], object]]:
    """From feature maps to anomaly maps."""
    features = [contender.features(part) for part in parts]
    return [lambda f=f: contender.mapped(f) for f in features]


if __name__ == "__main__":
    functions = (print_fit, print_peak_of_scoring, print_scoring)
    {function.__name__: function for function in functions}[sys.argv[1]](*sys.argv[2:])
