"""Measure speed and memory, and print each figure beside its target: ``python -m experiments.benchmark --help``."""

import argparse
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.data import DataLoader

from experiments.benchmark import processes
from experiments.benchmark.plan import FULL, ON_GPU, QUICK, Model, Plan
from experiments.benchmark.profiling import profile
from experiments.benchmark.report import HEADER, Row, page
from experiments.benchmark.timing import (
    Pair,
    against_backbone,
    alternate,
    batches,
    composed,
    fit,
    fit_against_backbone,
    others_seconds,
    repeat,
    waiting,
)
from padim.data.samples import Batch
from padim.data.synthetic import Synthetic, generate
from padim.execution import Execution
from padim.extractor import Extractor
from padim.model import PaDiM

RESULTS = Path(__file__).with_name("RESULTS.md")


def rows(plan: Plan, drawn: tuple[str, ...], real: tuple[str, ...]) -> Iterator[Row]:
    """The table, line by line.

    Args:
        drawn: overrides that choose the synthetic data set.
        real: overrides that choose the data set of whole commands.
    """
    # First of all, since a process's peak of memory is no smaller than that of the process that started it
    yield from memory_rows(plan, drawn, real)
    yield from command_rows(plan, drawn, real)
    for model in plan.models:
        yield from model_rows(model, drawn, plan.gpu)


def memory_rows(plan: Plan, drawn: tuple[str, ...], real: tuple[str, ...]) -> Iterator[Row]:
    small, large = plan.models[0], plan.models[-1]
    peak = partial(processes.fit_peak_gb, (*drawn, *small.overrides))
    few, many = small.fits[0], small.fits[-1]
    pairs = alternate(lambda: peak(many), lambda: peak(few), plan.repetitions)
    yield Row(f"peak memory of a fit: N = {many} / N = {few}", small.name, pairs, "GB", 1.02)

    whole = processes.train_peak_gb((*real, *large.overrides))
    yield Row("peak memory of `padim-train` / 4 GB", large.name, [(whole, 4.0)], "GB", 1.0)


def command_rows(plan: Plan, drawn: tuple[str, ...], real: tuple[str, ...]) -> Iterator[Row]:
    model = plan.models[0]
    orders = cycle((False, True))
    whole = repeat(
        lambda: processes.whole_and_backbone((*real, *model.overrides), backbone_first=next(orders)), plan.repetitions
    )
    yield Row("`padim-train` without imports / backbone on all its images", model.name, whole, "s", 1.6)

    first_batch = partial(processes.seconds_to_first_batch, drawn)
    starts = alternate(first_batch, processes.seconds_to_import, 2 * plan.repetitions - 1)
    yield Row("start to first batch / import of torch, timm, pytorch_lightning", model.name, starts, "s", 1.15)


def model_rows(model: Model, drawn: tuple[str, ...], gpu: bool) -> Iterator[Row]:
    config = composed((*drawn, *model.overrides))
    module, _ = fit(config, 32)  # also makes Lightning import what it imports late
    padim = module.model.to("cuda" if gpu else "cpu")  # from where Lightning brings it back
    for images in model.fits:
        pairs = fit_against_backbone(config, padim, images, model.repetitions)
        what, target = f"fit / loading and backbone, N = {images}", model.fit if images == 400 else None
        yield Row(what, model.name, per_image(pairs, images), "ms per image", target)
    few = model.fits[0]
    waits = repeat(lambda: waiting(padim, batches(config, few)), model.repetitions)
    yield Row(f"waiting for images / loading and backbone, N = {few}", model.name, waits, "s", 0.1, ".1%")
    yield from step_rows(model, padim, batches(config, 32), gpu)
    yield from execution_rows(model, padim, batches(config, max(model.head)))


def step_rows(model: Model, padim: PaDiM, loader: DataLoader[Batch], gpu: bool) -> Iterator[Row]:
    """Every step on its own, on one batch of the loader or on smaller ones that add up to it."""
    images = next(iter(loader)).image.to(padim.mean.device)
    features, repetitions = padim.features(images), 2 * model.repetitions

    def row(what: str, step: Callable[[], object], size: int, target: float | None = None) -> Row:
        pairs = against_backbone(step, padim, images[:size], len(images) // size, repetitions)
        return Row(
            f"{what} / backbone, batch {size}", model.name, per_image(pairs, len(images)), "ms per image", target, ".1%"
        )

    yield row("loading", lambda: next(iter(loader)), len(images))
    yield row("update", lambda: padim.head.update(features), len(images))
    pairs = against_backbone(padim.finalise, padim, images, 1, repetitions)
    yield Row(f"factorisation / backbone, batch {len(images)}", model.name, pairs, "s", model.finalise)
    for size, target in (ON_GPU if gpu else model.head).items():
        some = [feature[:size] for feature in features]
        with torch.inference_mode():
            yield row("distance, map, score", partial(padim.head, some), size, target)
            if gpu:
                yield row("whole prediction", partial(padim, images[:size]), size)


def execution_rows(model: Model, padim: PaDiM, loader: DataLoader[Batch]) -> Iterator[Row]:
    """Each choice of ``execution`` that is not the default, beside the defaults; to compile takes a C++ compiler."""
    images = next(iter(loader)).image.to(padim.mean.device)
    for name, default in Execution()._asdict().items():
        if name == "compile" and not shutil.which("g++"):
            continue
        other = Extractor(deepcopy(padim.backbone)).to(images.device)
        other.backbone.execution = Execution()._replace(**{name: not default})
        for size in model.head:
            step, turns = partial(other.features, images[:size]), len(images) // size
            pairs = against_backbone(step, padim, images[:size], turns, model.repetitions)
            what = f"backbone, `{name}={str(not default).lower()}` / by default, batch {size}"
            yield Row(what, model.name, per_image(pairs, len(images)), "ms per image")


def per_image(pairs: list[Pair], images: int) -> list[Pair]:
    """Seconds of so many images as milliseconds of one."""
    return [(1000 * measured / images, 1000 * compared / images) for measured, compared in pairs]


def main() -> None:
    parser = argparse.ArgumentParser("python -m experiments.benchmark", description="Speed and memory, with targets.")
    parser.add_argument("--mvtec", metavar="DIR", help="run whole commands on category bottle of MVTec AD in DIR")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: fit, test and predict on a GPU")
    parser.add_argument("--write", metavar="FILE", nargs="?", type=Path, const=RESULTS, help="by default RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="resnet18, few images, each measured once: a check only")
    arguments = parser.parse_args()
    for name in ("pytorch_lightning", "padim"):  # of random weights and of absent GPUs, once per fit
        logging.getLogger(name).setLevel(logging.ERROR)

    plan = (QUICK if arguments.quick else FULL)._replace(gpu=arguments.device == "cuda")
    start, others = time.perf_counter(), others_seconds()
    table, stages = measured(plan, arguments.mvtec)
    if arguments.write:
        options = (
            " --quick" * arguments.quick
            + " --device cuda" * plan.gpu
            + " --mvtec DIR" * bool(arguments.mvtec)
            + " --write"
        )
        took = time.perf_counter() - start
        arguments.write.write_text(
            page(table, stages, f"python -m experiments.benchmark{options}", took, (others_seconds() - others) / took)
        )


def measured(plan: Plan, mvtec: str | None) -> tuple[list[Row], str]:
    """The table, and that of the stages.

    Args:
        mvtec: folder of MVTec AD; None: drawn images stand for it.
    """
    with TemporaryDirectory() as folder:
        board = Synthetic(folder, "board").root / "board"
        generate(board, "board", 0, *plan.drawn)
        device = ("trainer=gpu",) if plan.gpu else ()
        drawn = (f"dataset.root={folder}", *device)
        real = ("dataset=mvtec", f"dataset.root={mvtec}", *device) if mvtec else drawn
        table = show(rows(plan, drawn, real))
        stages = profile(real, f"{mvtec}/bottle/test" if mvtec else str(board / "test"), board, device)
        print(stages)
    return table, stages


def show(rows: Iterator[Row]) -> list[Row]:
    """Print each row as soon as it is measured."""
    print(HEADER)
    table = []
    for row in rows:
        print(row, flush=True)
        table.append(row)
    return table


if __name__ == "__main__":
    main()
