"""Compare with anomalib's Padim: ``make bench-peers``, or ``.venv-peers/bin/python -m experiments.benchmark.peers``."""

import argparse
import math
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from experiments.benchmark.bounded import BeyondBoundsError, answer
from experiments.benchmark.contenders import CONTENDERS, MODELS, Model
from experiments.benchmark.duel import draw_images
from experiments.benchmark.kept import Kept
from experiments.benchmark.peers_page import Comparison, page
from padim import memory

PAGE = Path(__file__).with_name("PEERS.md")
KEPT = Path("outputs/benchmark/peers.json")
POSITIONS = 56 * 56
RESERVE_GB = 1.0  # left to the machine

FIT, MEMORY, STAGE = 3.0, 5.0, 10.0  # how many times less than anomalib is wanted


class Plan(NamedTuple):
    """How much to measure.

    Attributes:
        models: by name.
        fits: numbers of training images; the first is what predictions are made with.
        drawn: training images, and test images of each of six defects.
        repetitions: of each fit; predictions are repeated three times as often.
    """

    models: tuple[str, ...]
    fits: tuple[int, ...]
    drawn: tuple[int, int]
    repetitions: int


FULL = Plan(("R18-Rd100", "WR50-Rd550"), (50, 200, 800), (100, 5), 1)
QUICK = Plan(("R18-Rd100",), (4,), (4, 1), 1)


def anomalib_needs(model: Model, images: int) -> float:
    """GB that a fit of anomalib holds at its peak, the libraries included.

    All embeddings, (N, D, P), and then as many (P, D, D) matrices as were found at the peak: the covariances, those
    with 1e-5 on the diagonal, and two of the inversion.
    """
    embeddings = 4 * images * model.dim * POSITIONS
    matrices = 4 * POSITIONS * model.dim**2
    return 1.1 + max(2 * embeddings, embeddings + 4 * matrices) / 1e9


class Duel(NamedTuple):
    """One model on both sides."""

    model: Model
    plan: Plan
    images: str
    folder: Path
    kept: Kept
    minutes: float

    @property
    def free(self) -> float:
        """GB that a process may take now."""
        return memory.available() / 1e9 - RESERVE_GB

    def run(self, *arguments: str) -> Any:
        return answer("experiments.benchmark.duel", *arguments, gigabytes=self.free, minutes=self.minutes)

    def fit(self, side: str, images: int) -> dict[str, float | str]:
        """Seconds and GB, or why there are none."""
        if side == "anomalib" and (needed := anomalib_needs(self.model, images)) > self.free:
            return {"reason": f"does not fit: needs {needed:.0f} GB, {self.free:.0f} are free"}
        try:
            path = [self.path(side)] if images == self.plan.fits[0] else []
            return self.run("print_fit", side, self.model.name, self.images, str(images), *path)
        except BeyondBoundsError as error:
            return {"reason": str(error)}

    def path(self, side: str) -> str:
        return str(self.folder / f"{self.model.name}-{side}.pt")

    def fits(self, images: int) -> Iterator[Comparison]:
        name = self.model.name
        found: list[dict[str, Any]] = [
            {
                side: self.kept(f"{name} fit {images} {side} {turn}", partial(self.fit, side, images))
                for side in CONTENDERS
            }
            for turn in range(self.plan.repetitions)
        ]
        if any(None in turn.values() for turn in found):
            return
        reason = found[0]["anomalib"].get("reason", "")

        def row(what: str, key: str, unit: str, wanted: float | None) -> Comparison:
            pairs = [(turn["padim"][key], turn["anomalib"].get(key, math.nan)) for turn in found]
            return Comparison(f"{what}, N = {images}", name, pairs, unit, wanted, reason)

        yield row("fit", "seconds", "s", FIT)
        yield row("peak memory of a fit", "gigabytes", "GB", MEMORY if self.model.dim > 500 else None)

    def scoring(self) -> Iterator[Comparison]:
        name, paths = self.model.name, [self.path(side) for side in CONTENDERS]
        common = (name, self.images)
        peaks = [
            self.kept(f"{name} peak of scoring {side}", partial(self.run, "print_peak_of_scoring", side, *common, path))
            for side, path in zip(CONTENDERS, paths, strict=True)
        ]
        scoring = partial(self.run, "print_scoring", *common, *paths, str(3 * self.plan.repetitions))
        found = self.kept(f"{name} scoring", scoring)
        if None in peaks or found is None:
            return
        yield Comparison("peak memory of scoring a batch", name, [(peaks[0], peaks[1])], "GB")
        parts = {"scores": "images to scores", "maps": "feature maps to anomaly maps", "stage": "Mahalanobis stage"}
        for key, pairs in found.items():
            what, _, size = key.partition(" ")
            if what in parts:
                wanted = STAGE if what == "stage" else None
                yield Comparison(f"{parts[what]}, batch {size}", name, pairs, "ms per image", wanted)


def every_row(duels: Sequence[Duel]) -> Iterator[Comparison]:
    """The table, line by line, what takes longest last."""
    first, *more = duels[0].plan.fits
    for duel in duels:
        yield from duel.fits(first)
        if all(Path(duel.path(side)).is_file() for side in CONTENDERS):  # else one of them could not be fitted
            yield from duel.scoring()
    for images in more:
        for duel in duels:
            yield from duel.fits(images)


def main() -> None:
    parser = argparse.ArgumentParser("python -m experiments.benchmark.peers", description=__doc__)
    parser.add_argument("--write", metavar="FILE", nargs="?", type=Path, const=PAGE, help="by default PEERS.md")
    parser.add_argument("--keep", metavar="FILE", type=Path, default=KEPT, help="of what is measured, %(default)s")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after so many; run it again")
    parser.add_argument("--quick", action="store_true", help="resnet18, 4 images: a check only")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    kept, folder = Kept(arguments.keep, arguments.minutes), arguments.keep.with_suffix("")
    images = folder / "images.pt"
    if not images.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as drawn:
            draw_images(Path(drawn), *plan.drawn).replace(images)
    rows = []
    for row in every_row([Duel(MODELS[name], plan, str(images), folder, kept, 10.0) for name in plan.models]):
        print(row, flush=True)
        rows.append(row)
    rows.sort(key=lambda row: plan.models.index(row.model))
    scored = [name for name in plan.models if f"{name} scoring" in kept.made]
    disagreements = {name: kept.made[f"{name} scoring"]["disagreement"] for name in scored}
    if arguments.write:
        arguments.write.write_text(page(rows, disagreements, kept.others, kept.stopped))
    kept.finish()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
