"""Time and memory against images, grid, channels and layers: ``make bench-scaling``."""

import argparse
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from experiments.benchmark.kept import Kept
from experiments.benchmark.processes import seconds_to_first_batch
from experiments.benchmark.scaling_page import draw, page
from experiments.benchmark.scaling_plan import Campus
from experiments.benchmark.scaling_point import Figures, measured
from padim.data.synthetic import Synthetic, generate

PAGE = Path(__file__).with_name("SCALING.md")
KEPT = Path("outputs/benchmark/scaling.json")
R18, WR50 = "backbone=resnet18", "backbone=wide_resnet50_2"
LEVELS = ("l1", "l2", "l3", "l12", "l23", "l123")


class Point(NamedTuple):
    """One fit: of so many images, with these overrides."""

    images: int
    overrides: tuple[str, ...]


class Plan(NamedTuple):
    """What to measure.

    Attributes:
        axes: by name of what changes, the points by its value.
        drawn: training images that are drawn; a fit of more repeats them.
        frames: of the video.
        merges: models whose merge is measured, and of how many shards.
        images_each: of a shard, in its ledger.
    """

    axes: Mapping[str, Mapping[str, Point]]
    drawn: int
    frames: int
    merges: Mapping[str, tuple[int, ...]]
    images_each: int


def axes(images: tuple[int, ...], few: int, sizes: tuple[int, ...], large: bool) -> dict[str, dict[str, Point]]:
    """The points of each axis.

    Args:
        images: numbers of training images; ``few`` where something else changes.
        sizes: of images, pixels.
        large: WideResNet50 as well.
    """
    both = {"R18": (R18, (50, 100, 200, 448))} | ({"WR50": (WR50, (100, 550))} if large else {})
    dims = {
        f"{name}-Rd{dim}": Point(few, (net, reduced(dim))) for name, (net, values) in both.items() for dim in values
    }
    return {
        "images": {str(count): Point(count, (R18,)) for count in images},
        "image size": {str(size): Point(few, (R18, *square(size))) for size in sizes},
        "channels": dims,
        "layers": {level: Point(few, (R18, f"layers={level}", "reduction=none")) for level in LEVELS},
        "campus": {name: Point(few, (*overrides, *square(256))) for name, overrides in CAMPUS.items()},
    }


def reduced(dim: int) -> str:
    return f"reduction.dim={dim}"


def square(size: int) -> tuple[str, str]:
    """Whole images of that size."""
    return f"dataset.resize=[{size},{size}]", f"dataset.image_size=[{size},{size}]"


CAMPUS = {"R18-Rd100": (R18, reduced(100)), "WR50-Rd550": (WR50, reduced(550))}
FULL = Plan(
    axes((50, 200, 800), 32, (128, 224, 320, 448), large=True),
    32,
    96,
    {"R18-Rd100": (2, 16), "WR50-Rd550": (2, 3)},
    17_188,
)
QUICK = Plan(
    {axis: dict(list(points.items())[:1]) for axis, points in axes((8,), 4, (64,), large=False).items()},
    4,
    4,
    {"R18-Rd100": (2, 3)},
    8,
)


def merge_figures(shards: int, images_each: int, *overrides: str) -> Figures:
    with TemporaryDirectory() as folder:
        written = measured("write_shards", folder, str(shards), str(images_each), *overrides)
        return written | measured("merge_figures", folder)


def video_figures(frames: int) -> Figures:
    with TemporaryDirectory() as folder:
        return measured("video_figures", folder, str(frames))


def measure_axes(plan: Plan, kept: Kept, root: str) -> dict[str, dict[str, Figures]]:
    """The figures of each point; without those that the minutes did not suffice for."""
    found: dict[str, dict[str, Figures]] = {}
    for axis, points in plan.axes.items():
        found[axis] = {}
        for value, point in points.items():
            arguments = ("fit_figures", str(point.images), root, *point.overrides)
            if figures := kept(f"{axis} {value}", partial(measured, *arguments)):
                found[axis][value] = figures
    return found


def measure_campus(plan: Plan, kept: Kept, root: str, fits: Mapping[str, Figures]) -> dict[str, Campus]:
    """What the plan past this machine is reckoned from, of each model for which all of it is there."""
    start = kept("start", partial(seconds_to_first_batch, (root,)))
    video = kept("video", partial(video_figures, plan.frames))
    campus = {}
    for name, counts in plan.merges.items():
        overrides = (root, *CAMPUS[name], *square(256))
        merges = {
            shards: kept(f"merge {name} {shards}", partial(merge_figures, shards, plan.images_each, *overrides))
            for shards in counts
        }
        if name in fits and None not in (start, video, *merges.values()):
            campus[name] = Campus(fits[name], video, start, merges, plan.images_each)
    return campus


def main() -> None:
    parser = argparse.ArgumentParser("python -m experiments.benchmark.scaling", description=__doc__)
    parser.add_argument("--write", metavar="FILE", nargs="?", type=Path, const=PAGE, help="by default SCALING.md")
    parser.add_argument("--keep", metavar="FILE", type=Path, default=KEPT, help="of what is measured, %(default)s")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after so many; run it again")
    parser.add_argument("--quick", action="store_true", help="a few small points: a check only")
    arguments = parser.parse_args()
    plan, kept = QUICK if arguments.quick else FULL, Kept(arguments.keep, arguments.minutes)
    with TemporaryDirectory() as folder:
        generate(Synthetic(folder, "board").root / "board", "board", 0, plan.drawn, test_good=1, per_kind=1)
        found = measure_axes(plan, kept, f"dataset.root={folder}")
        campus = measure_campus(plan, kept, f"dataset.root={folder}", found["campus"])
    if arguments.write:
        picture = arguments.write.with_name(arguments.write.stem.lower() + ".png")
        draw(found, picture)
        arguments.write.write_text(page(found, campus, picture.name, kept.others, kept.stopped))
    kept.finish()


if __name__ == "__main__":
    main()
