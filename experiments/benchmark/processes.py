"""What needs a process of its own: memory, a whole command, the start of a command.

The functions of the first half start such a process; those of the second half run in it, as
``python -m experiments.benchmark.processes FUNCTION ARGUMENT ...``. These import padim inside, because when that
happens is what they measure.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

Stages = dict[str, dict[str, float]]
BARE_IMPORT = "import torch, timm, pytorch_lightning, time; print(time.time())"
GB_PER_MIB = 2**20 / 1e9


def seconds_to_first_batch(overrides: Sequence[str]) -> float:
    """From the start of ``padim-train`` to its first training step."""
    with TemporaryDirectory() as folder:
        return _seconds_to_print(_child("print_at_first_batch", *overrides, f"output_dir={folder}"))


def seconds_to_import() -> float:
    """From the start of Python to the end of the imports that no such program can avoid."""
    return _seconds_to_print(["-c", BARE_IMPORT])


def whole_and_backbone(overrides: Sequence[str], backbone_first: bool) -> tuple[float, float]:
    """Seconds of ``padim-train`` without imports, and of the backbone's forward on all its images."""
    with TemporaryDirectory() as folder:
        order = "backbone_first" if backbone_first else "backbone_last"
        printed = _python(_child("print_whole_and_backbone", order, *overrides, f"output_dir={folder}"))
    whole, backbone = json.loads(printed)
    return whole, backbone


def stages(overrides: Sequence[str], images: str) -> list[Stages]:
    """Of ``padim-train``, and of ``padim-predict`` with its model, each run once, see :mod:`.stages`.

    Args:
        overrides: of the first.
        images: folder, for the second.
    """
    with TemporaryDirectory() as folder:
        train = ["train", *overrides, f"output_dir={folder}/fit"]
        predict = ["predict", f"checkpoint={folder}/fit/padim.ckpt", f"input={images}", f"output_dir={folder}/found"]
        device = [f"device={'cuda' if 'trainer=gpu' in overrides else 'cpu'}"]
        return [json.loads(_python(_child("print_stages", *one))) for one in (train, [*predict, *device])]


def fit_peak_gb(overrides: Sequence[str], images: int) -> float:
    """Peak memory, GB, of a process that fits so many images."""
    return float(_python(_child("print_fit_peak", str(images), *overrides))) * GB_PER_MIB


def train_peak_gb(overrides: Sequence[str]) -> float:
    """Peak memory, GB, of ``padim-train``, test included."""
    with TemporaryDirectory() as folder:
        _python(["-m", "padim.commands.train", *overrides, f"output_dir={folder}"])
        metrics = json.loads((Path(folder) / "metrics.json").read_text())
    return float(metrics["peak_memory_mb"]) * GB_PER_MIB


def _child(function: str, *arguments: str) -> list[str]:
    return ["-m", "experiments.benchmark.processes", function, *arguments]


def _seconds_to_print(arguments: list[str]) -> float:
    """From the start of Python to when it printed, as the last line, the time."""
    start = time.time()  # not perf_counter, whose zero differs from process to process
    return float(_python(arguments)) - start


def _python(arguments: list[str]) -> str:
    """The last line that Python printed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def print_at_first_batch(*overrides: str) -> None:
    from padim.commands.train import main
    from padim.module import PaDiMModule

    def arrive(*_: object) -> None:
        print(time.time(), flush=True)
        os._exit(0)

    PaDiMModule.training_step = arrive  # type: ignore[assignment]
    sys.argv = ["padim-train", *overrides]
    main()


def print_whole_and_backbone(order: str, *overrides: str) -> None:
    from experiments.benchmark.timing import seconds
    from padim.commands.train import main

    def of_backbone() -> float:
        return seconds(_backbone_on_all_images(overrides))

    sys.argv = ["padim-train", *overrides]
    if order == "backbone_first":
        backbone = of_backbone()
        whole = seconds(main)
    else:
        whole = seconds(main)
        backbone = of_backbone()
    print(json.dumps([whole, backbone]))


def _backbone_on_all_images(overrides: Sequence[str]) -> Callable[[], None]:
    """Runs the backbone on all training and test images, which lie in memory."""
    from hydra.utils import instantiate

    from experiments.benchmark.timing import composed

    config = composed(overrides)
    data, model = instantiate(config.data), instantiate(config.model).model.to(config.trainer.accelerator)
    data.setup("fit")
    data.setup("test")
    images = [batch.image for loader in (data.train_dataloader(), data.test_dataloader()) for batch in loader]

    def extract() -> None:
        for batch in images:
            model.features(batch.to(model.mean.device))

    return extract


def print_stages(command: str, *overrides: str) -> None:
    from importlib import import_module

    from experiments.benchmark.stages import clocked

    sys.argv = [f"padim-{command}", *overrides]
    clocks = clocked(import_module(f"padim.commands.{command}").main)
    print(json.dumps({"seconds": clocks.seconds, "meanwhile": clocks.meanwhile}))


def print_fit_peak(images: str, *overrides: str) -> None:
    from experiments.benchmark.timing import composed, fit
    from padim.commands.run import peak_memory_mb

    fit(composed(overrides), int(images))
    print(peak_memory_mb())


if __name__ == "__main__":
    functions = (print_at_first_batch, print_whole_and_backbone, print_stages, print_fit_peak)
    {function.__name__: function for function in functions}[sys.argv[1]](*sys.argv[2:])
