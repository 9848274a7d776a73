"""One point of the scaling measurements, in a process of its own.

The processes are ``python -m experiments.benchmark.scaling_point FUNCTION ARGUMENT ...``.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from experiments.benchmark.timing import batches, composed, fit, seconds
from padim.checkpoint import AtomicCheckpointIO, save_changed
from padim.commands.merge import merge
from padim.commands.run import peak_memory_mb
from padim.data.stc import STC
from padim.data.video import write_video

GB_PER_MIB = 2**20 / 1e9
FRAME = (480, 856)  # height and width of ShanghaiTech Campus's
Figures = dict[str, float]


def measured(function: str, *arguments: str) -> Figures:
    """What a function of this file prints."""
    command = [sys.executable, "-W", "ignore", "-m", "experiments.benchmark.scaling_point", function, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def fit_figures(images: str, *overrides: str) -> Figures:
    """Of a fit: seconds, peak and parts of the memory in GB, milliseconds per image of each step."""
    config = composed(overrides)
    module, taken = fit(config, int(images))
    peak, padim = peak_memory_mb() * GB_PER_MIB, module.model
    loader = batches(config, 32)
    batch = next(iter(loader)).image
    features = padim.features(batch)
    one = [feature[:1].contiguous() for feature in features]
    each = 1000 / len(batch)
    with torch.inference_mode():
        head, alone = each * steady(lambda: padim.head(features)), 1000 * steady(lambda: padim.head(one))
    return {
        "fit": taken,
        "peak": peak,
        "statistics": sum(statistics.nbytes for statistics in padim.statistics) / 1e9,
        "whitening": module.head.nbytes / 1e9,
        "network": sum(tensor.nbytes for tensor in padim.backbone.state_dict().values()) / 1e9,
        "loading": each * steady(lambda: next(iter(loader))),
        "backbone": each * steady(lambda: padim.features(batch)),
        "head": head,
        "head alone": alone,
        "update": each * steady(lambda: padim.head.update(features)),
        "factorisation": steady(padim.finalise),
    }


def write_shards(folder: str, shards: str, images_each: str, *overrides: str) -> Figures:
    """One fit of a few images under as many ledgers, with so many images each, as of ShanghaiTech Campus."""
    config = composed(overrides)
    module, _ = fit(config, 8)
    module.config = {"dataset": {}}
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    sizes = []
    for images in (0, *[int(images_each)] * int(shards)):
        first = len(sizes) * images
        checkpoint["images"] = [
            (f"training/sampled_frames/01_001/{image:06d}.jpg", f"{image:064x}")
            for image in range(first, first + images)
        ]
        path = Path(folder) / (f"{len(sizes)}.ckpt" if images else "empty")
        AtomicCheckpointIO().save_checkpoint(checkpoint, path)
        sizes.append(path.stat().st_size / 1e9)
    return {"checkpoint": sizes[1], "entry": (sizes[1] - sizes[0]) / int(images_each)}


def merge_figures(folder: str) -> Figures:
    """Of padim-merge on all of them, its imports left out: seconds and GB."""
    paths = sorted(Path(folder).glob("*.ckpt"))
    taken = seconds(lambda: save_changed(merge(paths), Path(folder) / "all"))
    return {
        "merge": taken,
        "merge peak": peak_memory_mb() * GB_PER_MIB,
        "merged": (Path(folder) / "all").stat().st_size / 1e9,
    }


def video_figures(folder: str, frames: str) -> Figures:
    """Of frames of ShanghaiTech Campus's size: extraction and loading, milliseconds a frame; size on disk, kB."""
    root, count = Path(folder), int(frames)
    (root / "training" / "videos").mkdir(parents=True)
    write_video(root / "training" / "videos" / "01_001.avi", map(frame, range(count)), rate=24)
    extraction = seconds(STC(root, train_frames=count).prepare)
    extracted = root / "training" / "sampled_frames"
    size = sum(file.stat().st_size for file in extracted.rglob("*.jpg")) / count
    data = ("dataset=folder", f"dataset.root={extracted}", "dataset.resize=[256,256]", "dataset.image_size=[256,256]")
    loader = batches(composed(data), count)
    loading = steady(lambda: list(loader))
    return {"extraction": 1000 * extraction / count, "loading": 1000 * loading / count, "kilobytes": size / 1e3}


def frame(number: int) -> Any:
    """A smooth scene under noise, whose middle moves."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(40, 220, (30, 53, 3), dtype=np.uint8))
    scene = np.array(coarse.resize(FRAME[::-1], Image.Resampling.BICUBIC), dtype=np.int16)
    scene[160:320] = np.roll(scene[160:320], 4 * number, axis=1)
    noise = np.random.default_rng(number).integers(-5, 6, scene.shape, dtype=np.int16)
    return (scene + noise).clip(0, 255).astype(np.uint8)


def steady(action: Callable[[], object]) -> float:
    """Seconds of a call, the median of three after the first."""
    return median([seconds(action) for _ in range(4)][1:])


if __name__ == "__main__":
    functions = (fit_figures, write_shards, merge_figures, video_figures)
    chosen = {function.__name__: function for function in functions}[sys.argv[1]]
    print(json.dumps(chosen(*sys.argv[2:])))
