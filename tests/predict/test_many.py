"""A run over many files: it takes no more memory than one over few, and it can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from padim.commands import predict
from tests.commands.test_run import rows, run
from tests.predict.photos import plate, save

Model = Callable[[str], Path]
MEMORY = """
from padim.commands.predict import main
from padim.commands.run import peak_memory_mb
main()
print("peak", peak_memory_mb())
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scores of one that was not killed, and without what was there being made again."""
    for seed in range(30):
        save(plate(seed, (40, 40)), tmp_path / "images" / f"{seed:02}.png")
    options = [f"checkpoint={model('stretch')}", f"input={tmp_path / 'images'}", "batch_size=1", "contact_sheet=false"]
    process = subprocess.Popen(
        [sys.executable, "-m", "padim.commands.predict", *options, f"output_dir={tmp_path / 'out'}"]
    )
    lines = tmp_path / "out" / "predictions.jsonl"
    while not lines.exists() or lines.read_bytes().count(b"\n") < 5:
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = [line for line in lines.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert 5 <= len(done) < 30
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "overlays").iterdir()}
    for folder in ("out", "whole"):
        run(monkeypatch, predict.main, *options, f"output_dir={tmp_path / folder}")
    assert lines.read_text().startswith("".join(done))
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == (tmp_path / "whole" / "predictions.csv").read_bytes()
    for line in done:
        overlay = tmp_path / "out" / "overlays" / f"{Path(json.loads(line)['path']).name}.jpg"
        assert overlay.stat().st_mtime_ns == times[overlay]
        Image.open(overlay).verify()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_files(model: Model, tmp_path: Path) -> None:
    """Pictures, maps and contact sheets included; the list of their names is all that grows."""
    peaks = []
    for count in (300, 3000):
        folder = tmp_path / str(count)
        first = save(plate(0, (20, 20)), folder / "0.png")
        for number in range(1, count):
            (folder / f"{number}.png").hardlink_to(first)
        options = [f"checkpoint={model('stretch')}", f"input={folder}", f"output_dir={tmp_path / f'out{count}'}"]
        result = subprocess.run(
            [sys.executable, "-c", MEMORY, *options, "maps=npy"], capture_output=True, text=True, check=True
        )
        peaks.append(float(result.stdout.split("peak")[-1]))
        assert len(rows(tmp_path / f"out{count}" / "predictions.csv")) == count
    assert peaks[1] - peaks[0] < 30  # MiB
