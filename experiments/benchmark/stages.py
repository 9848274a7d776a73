"""Where the time of whole commands goes, stage by stage.

Each stage is a few functions of padim. While one of them runs in the main thread its clock does, less the time of the
stages within it: so the shares add up, with what is in none of them, to the whole. What other threads do meanwhile is
told apart: it costs the command no time but that of the cores.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any

import torch

STAGES = {
    "building the model": ("padim.backbone.Backbone.__init__", "padim.head.Head.__init__"),
    "listing images": ("padim.data.module.ImageDataModule.setup", "padim.commands.predict.list_images"),
    "waiting for images": ("padim.data.ahead.AheadLoader._joined",),
    "decoding": ("padim.data.scaling.read_rgb", "padim.predict.images.read_rgb"),
    "resizing": ("padim.data.scaling.Scaling.resized", "padim.predict.images.picture_of"),
    "backbone": ("padim.extractor.Extractor.features",),
    "update": ("padim.head.Head.update",),
    "finalise": ("padim.head.Head.finalise",),
    "distance, map, score": ("padim.head.Head.forward",),
    "attribution": ("padim.head.Head.level_parts", "padim.head.Head.level_maps"),
    "metrics": ("padim.evaluation.Evaluation.update", "padim.evaluation.Evaluation.tested"),
    "checkpoint": (
        "padim.checkpoint.AtomicCheckpointIO.save_checkpoint",
        "padim.commands.predict.load",
        "padim.commands.predict.made_with",
    ),
    "pictures": (
        "padim.commands.run.draw_extremes",
        "padim.predict.pictures.Pictures._at_once",
        "padim.predict.pictures.Pictures.write",
        "padim.predict.pictures.Pictures.write_sheets",
    ),
    "report.html": ("padim.commands.run.draw_page",),
    "records": ("padim.predict.finding.record_of", "padim.predict.records.Records.add"),
}
"""Functions by the stage that they are, where the commands look them up."""
ENTIRE = ("pictures", "report.html")
"""Stages that have what they contain counted as theirs: the backbone's work for a page is the page's."""
OTHER = "all else: Hydra, Lightning, logging"
SHOWN = 0.02
"""Of the time of a command: what takes less is not shown."""


class Clocks:
    """Seconds of each stage: of the main thread, and, in ``meanwhile``, of a core in other threads."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.meanwhile: Counter[str] = Counter()
        self.running, self.since, self.lock = [OTHER], time.perf_counter(), threading.Lock()

    def switch(self) -> None:
        """Give the time since the last switch to the stage that is running."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # or it would be the time of the stage that waits for the others
        now = time.perf_counter()
        self.seconds[self.running[-1]] += now - self.since  # type: ignore[assignment]
        self.since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its clock."""

        @wraps(function)
        def measured(*arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return self._aside(stage, function, *arguments, **options)
            if self.running[-1] in ENTIRE:
                return function(*arguments, **options)
            self.switch()
            self.running.append(stage)
            try:
                return function(*arguments, **options)
            finally:
                self.switch()
                self.running.pop()

        return measured

    def _aside(self, stage: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            with self.lock:
                self.meanwhile[stage] += time.thread_time() - start  # type: ignore[assignment]


def clocked(command: Callable[[], object]) -> Clocks:
    """The clocks of a command, without its imports."""
    held = [(*_place(name), stage) for stage, names in STAGES.items() for name in names]
    originals = [owner.__dict__[attribute] for owner, attribute, _ in held]
    clocks = Clocks()
    for (owner, attribute, stage), original in zip(held, originals, strict=True):
        setattr(owner, attribute, clocks.timed(stage, original))
    try:
        clocks.since = time.perf_counter()
        command()
        clocks.switch()
    finally:
        for (owner, attribute, _), original in zip(held, originals, strict=True):
            setattr(owner, attribute, original)
    return clocks


def _place(name: str) -> tuple[Any, str]:
    """The module or class that holds a function, and its name there."""
    path, _, attribute = name.rpartition(".")
    parent, _, last = path.rpartition(".")
    return (getattr(import_module(parent), last) if last[0].isupper() else import_module(path)), attribute


def table(columns: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A column for each command: its seconds, and what its stages take of them, and of a core meanwhile."""
    rows = [["| stage", *columns], ["| ---", *["---"] * len(columns)]]
    rows.append(["| whole, without imports", *(f"{_whole(one):.2f} s" for one in columns.values())])
    for stage in [*STAGES, OTHER]:
        cells = [_cell(one, stage) for one in columns.values()]
        if any(cells):
            rows.append([f"| {stage}", *cells])
    return "\n".join(f"{' | '.join(row)} |" for row in rows)


def _whole(column: Mapping[str, Mapping[str, float]]) -> float:
    return sum(column["seconds"].values())


def _cell(column: Mapping[str, Mapping[str, float]], stage: str) -> str:
    shares = [column[kind].get(stage, 0) / _whole(column) for kind in ("seconds", "meanwhile")]
    texts = [f"{shares[0]:.1%}", f"({shares[1]:.1%} meanwhile)"]
    return " ".join(text for text, share in zip(texts, shares, strict=True) if share >= SHOWN)
