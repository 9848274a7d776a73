"""SIGKILL at twenty random moments: the run that follows ends as one that nothing has disturbed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.checkpoint import load_module
from padim.data.video import write_video
from tests.bits import same_bits
from tests.commands.test_run import TINY, rows
from tests.data.files import write
from tests.drawn import draw

KILLS = 20
pytestmark = pytest.mark.slow


def killed(kills: int, seconds: float, made: Path, command: str, *overrides: object) -> dict[str, float]:
    """How many of the kills hit, and how long the last run took."""
    harness = Path(__file__).with_name("killed.py")
    given = [str(kills), str(seconds), made, command, *map(str, overrides)]
    result = subprocess.run([sys.executable, harness, *given], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


def twice(folder: Path, made: str, command: str, *overrides: str) -> tuple[Path, Path]:
    """Folders of an undisturbed run and of one that was killed; ``{}`` in an override is the run's own folder.

    Args:
        made: what the run makes, below its folder.
    """

    def run(name: str, kills: int, seconds: float) -> dict[str, float]:
        own = folder / name
        given = [f"output_dir={own}", *(text.format(own) for text in overrides)]
        return killed(kills, seconds, own / made, command, *given)

    whole = run("whole", 0, 0)
    disturbed = run("killed", KILLS, 0.7 * whole["seconds"])
    print(f"{command}: {disturbed['hits']} of {KILLS} kills hit, in a run of {whole['seconds']:.1f} s")
    assert disturbed["hits"] >= KILLS // 2
    return folder / "whole", folder / "killed"


def leftovers(folder: Path) -> list[Path]:
    """Unfinished files where finished ones are."""
    return [path for path in folder.rglob("*") if path.is_file() and ".part" in path.name]


def test_fit_and_save(tmp_path: Path) -> None:
    """With a cache that it writes, and workers."""
    draw(tmp_path, "board", train=60, test_good=2)
    given = [f"dataset.root={tmp_path}", *TINY[:3], "data.batch_size=2", "data.num_workers=1", "save_every=2"]
    whole, disturbed = twice(tmp_path, "", "train", *given, "dataset.cache=true", "dataset.cache_dir={}/cache")
    assert same_bits(disturbed, whole)
    assert load_module(disturbed / "padim.ckpt").fitted == 60
    caches = [sorted(path.name for path in (folder / "cache").rglob("*.npy")) for folder in (whole, disturbed)]
    assert caches[0] == caches[1]


def test_predict(tmp_path: Path) -> None:
    draw(tmp_path, "board", train=12, test_good=2)
    model = tmp_path / "model"
    killed(0, 0, model, "train", f"output_dir={model}", f"dataset.root={tmp_path}", *TINY, "calibration=leave_one_out")
    for number in range(80):
        write(tmp_path / f"images/{number:03d}.png", size=(72, 72), seed=number)
    given = [f"checkpoint={model / 'padim.ckpt'}", f"input={tmp_path / 'images'}", "batch_size=2", "maps=npy"]
    whole, disturbed = twice(tmp_path, "", "predict", *given)
    records = [sorted(rows(folder / "predictions.csv"), key=lambda row: row["path"]) for folder in (whole, disturbed)]
    assert len(records[0]) == 80
    assert records[0] == records[1]
    for suffix in ("*.npy", "overlays/*"):
        ours, theirs = (sorted(folder.rglob(suffix)) for folder in (disturbed, whole))
        assert [path.relative_to(disturbed) for path in ours] == [path.relative_to(whole) for path in theirs]
        for path in ours:
            _ = np.load(path) if path.suffix == ".npy" else Image.open(path).load()
    assert not leftovers(disturbed)


def test_extraction_of_frames(tmp_path: Path) -> None:
    """Of ShanghaiTech Campus's videos: no frame is half-written, none is missing."""
    roots = [tmp_path / name / "data" for name in ("whole", "killed")]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (240, 96, 144, 3), dtype=np.uint8)
    for root in roots:
        (root / "training/videos").mkdir(parents=True)
        for video in range(3):
            write_video(root / f"training/videos/01_00{video}.avi", pixels[80 * video : 80 * video + 80], rate=24)
        (root / "testing/frames/01_0014").mkdir(parents=True)
        (root / "testing/test_pixel_mask").mkdir()
        Image.fromarray(pixels[0]).save(root / "testing/frames/01_0014/000.jpg")
        np.save(root / "testing/test_pixel_mask/01_0014.npy", np.ones((1, 96, 144), np.uint8))
    given = ["dataset=stc", "dataset.root={}/data", "dataset.train_frames=120", *TINY]
    twice(tmp_path, "data/training/sampled_frames", "train", *given)
    ours, theirs = (
        {path.name: path.read_bytes() for path in (root / "training/sampled_frames").rglob("*.jpg")} for root in roots
    )
    assert len(ours) > 20
    assert ours == theirs
