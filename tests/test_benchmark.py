"""The benchmark runs through; how fast is its own business."""

import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.benchmark import stages
from experiments.benchmark.__main__ import step_rows
from experiments.benchmark.plan import QUICK
from experiments.benchmark.report import Row
from experiments.benchmark.timing import batches, composed, fit
from padim.data.synthetic import Synthetic, generate

WHOLE_TABLE = [
    "peak memory of a fit: N = 16 / N = 8",
    "peak memory of `padim-train` / 4 GB",
    "`padim-train` without imports / backbone on all its images",
    "start to first batch / import of torch, timm, pytorch_lightning",
    "fit / loading and backbone, N = 8",
    "fit / loading and backbone, N = 16",
    "waiting for images / loading and backbone, N = 8",
    "loading / backbone, batch 32",
    "update / backbone, batch 32",
    "factorisation / backbone, batch 32",
    "distance, map, score / backbone, batch 16",
    "distance, map, score / backbone, batch 1",
    *(
        f"backbone, `{choice}` / by default, batch {size}"
        for choice in ("channels_last=false", "fold_batch_norm=false", "compile=true", "bfloat16=true")
        if choice != "compile=true" or shutil.which("g++")
        for size in (16, 1)
    ),
]


@pytest.mark.slow
def test_every_row_comes_out(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    # Two threads that wait for a core taken by others would take minutes.
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments.benchmark", "--quick", "--write", str(page)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], env=one_thread)
    figures = dict(re.findall(r"^\| (.*?) \| R18-Rd100 \| ([\d.]+)%? \|", page.read_text(), flags=re.MULTILINE))
    assert list(figures) == WHOLE_TABLE
    assert all(0 < float(figure) < math.inf for figure in figures.values())
    for stage in ("backbone", "whole, without imports"):
        assert re.search(rf"^\| {stage}( \| [\d.]+( s|%)){{4}} \|$", page.read_text(), flags=re.MULTILINE)


@pytest.mark.slow
def test_the_rows_of_a_gpu(tmp_path: Path) -> None:
    """On the CPU, which takes the same way through the code."""
    reader = Synthetic(tmp_path, "board")
    generate(reader.root / reader.category, reader.category, 0, 4, 1, 1)
    sizes = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=20"]
    config = composed((f"dataset.root={tmp_path}", *sizes))
    module, _ = fit(config, 32)
    rows = list(step_rows(QUICK.models[0], module.model, batches(config, 32), gpu=True))
    assert [row.what for row in rows if row.target is None][-4:] == [
        f"{what} / backbone, batch {size}" for size in (32, 1) for what in ("distance, map, score", "whole prediction")
    ]


def test_a_missed_target_says_by_how_much() -> None:
    pairs = [(3.0, 2.0), (6.0, 5.0), (1.0, 1.0)]
    assert "| 1.200 | 1.000 to 1.500 (3) | <= 1.100 | **missed by 0.100** | 3 / 2 s |" in str(
        Row("fit", "R18", pairs, "s", 1.1)
    )
    assert "| 120.0% | 100.0% to 150.0% (3) | <= 130.0% | met |" in str(Row("fit", "R18", pairs, "s", 1.3, ".1%"))


def test_the_time_of_a_stage_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of a stage within it, nor of another thread; and the originals are back at the end."""
    names = {"outer": ("tests.test_benchmark.outer",), "inner": ("tests.test_benchmark.inner",)}
    monkeypatch.setattr(stages, "STAGES", names)
    originals = outer, inner
    clocks = stages.clocked(lambda: (sys.modules[__name__].outer(), time.sleep(0.05)))  # type: ignore[attr-defined]
    assert (outer, inner) == originals
    assert set(clocks.seconds) == {"outer", "inner", stages.OTHER}
    assert set(clocks.meanwhile) == {"inner"}
    assert clocks.seconds["outer"] >= 0.1
    assert clocks.seconds["inner"] >= 0.05
    columns = {"one": {"seconds": {"outer": 6.0, "inner": 4.0}, "meanwhile": {"inner": 1.0, "outer": 0.1}}}
    shown = stages.table(columns)
    assert "| whole, without imports | 10.00 s |" in shown
    assert "| outer | 60.0% |" in shown
    assert "| inner | 40.0% (10.0% meanwhile) |" in shown


def outer() -> None:
    time.sleep(0.1)
    inner()
    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()


def inner() -> None:
    time.sleep(0.05)
