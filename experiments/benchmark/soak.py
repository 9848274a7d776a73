"""A long run of padim-predict, its memory watched: ``make soak``, or ``python -m experiments.benchmark.soak``."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import psutil  # type: ignore[import-untyped]
from PIL import Image

from experiments.benchmark.soak_page import Sample, Soak, draw, page

PAGE = Path(__file__).with_name("SOAK.md")
SIDE = 96  # pixels
FIT = 32
MODEL = ("reduction.dim=20", f"dataset.resize=[{SIDE},{SIDE}]", f"dataset.image_size=[{SIDE},{SIDE}]")


class Plan(NamedTuple):
    """How much: images, and seconds from one look at the memory to the next."""

    images: int
    seconds: float


FULL = Plan(20_000, 2.0)
QUICK = Plan(320, 0.2)


def write_images(folder: Path, count: int) -> None:
    """Smooth fields under noise, JPEG; every image is another, but the last, which is the first."""
    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng([number % (count - 1), count])
        coarse = Image.fromarray(rng.integers(90, 160, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + rng.integers(-6, 7, smooth.shape, dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:06d}.jpg")


def fit(folder: Path) -> Path:
    """A model of such images; returns its checkpoint."""
    write_images(folder / "normal", FIT)
    data = ("dataset=folder", f"dataset.root={folder / 'normal'}", f"output_dir={folder / 'model'}")
    _command("train", *data, *MODEL).check_returncode()
    return folder / "model" / "padim.ckpt"


def watch(checkpoint: Path, images: Path, out: Path, every: float) -> list[Sample]:
    """Predict all images, and look at the process's memory meanwhile."""
    arguments = (f"checkpoint={checkpoint}", f"input={images}", f"output_dir={out}")
    lines, start = Lines(out / "predictions.jsonl"), time.perf_counter()
    samples: list[Sample] = []
    command = [sys.executable, "-m", "padim.commands.predict", *arguments]
    with (out.parent / "predict.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        looked_at = psutil.Process(process.pid)
        while process.poll() is None:
            memory, done = resident(looked_at), lines()
            if memory and done:
                samples.append(Sample(time.perf_counter() - start, done, memory / 1e6))
            time.sleep(every)
    if process.returncode:
        raise RuntimeError(f"padim-predict failed:\n{(out.parent / 'predict.log').read_text()[-2000:]}")
    return samples


def resident(process: psutil.Process) -> int:
    """Bytes of a process in memory; 0 once it has ended."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


class Lines:
    """Counts the lines of a file that grows, and reads each of them once."""

    def __init__(self, path: Path) -> None:
        self.path, self.read, self.count = path, 0, 0

    def __call__(self) -> int:
        """So far; 0 as long as there is no file."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.read)
                new = file.read()
            self.read, self.count = self.read + len(new), self.count + new.count(b"\n")
        return self.count


def soak(plan: Plan, folder: Path) -> Soak:
    """The whole run, in an empty folder."""
    checkpoint = fit(folder)
    write_images(folder / "images", plan.images)
    samples = watch(checkpoint, folder / "images", folder / "out", plan.seconds)
    records = [json.loads(line) for line in (folder / "out" / "predictions.jsonl").open()]
    names = [Path(record["path"]).name for record in records]
    if names != sorted(names) or len(names) != plan.images:
        raise RuntimeError(f"{len(names)} of {plan.images} images are on record, or not in their order")
    written = sum(file.stat().st_size for file in (folder / "out").rglob("*") if file.is_file())
    return Soak(samples, plan.images, records[0]["score"], records[-1]["score"], written / 1e9)


def _command(name: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"padim.commands.{name}", *overrides]
    return subprocess.run(command, capture_output=True, text=True)


def main() -> None:
    parser = argparse.ArgumentParser("python -m experiments.benchmark.soak", description=__doc__)
    parser.add_argument("--write", metavar="FILE", nargs="?", type=Path, const=PAGE, help="by default SOAK.md")
    parser.add_argument("--images", type=int, default=FULL.images, help="how many, %(default)s")
    parser.add_argument("--quick", action="store_true", help="few images: a check only")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = soak(QUICK if arguments.quick else FULL._replace(images=arguments.images), Path(folder))
    print(found.table())
    if arguments.write:
        picture = arguments.write.with_suffix(".png")
        picture = picture.with_name(picture.name.lower())
        draw(found, picture)
        arguments.write.write_text(page(found, picture.name))


if __name__ == "__main__":
    main()
