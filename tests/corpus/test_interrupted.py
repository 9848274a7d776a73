"""A worker that is killed, and Ctrl-C: a short word, no waiting, and a rerun that goes on from what is done."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from padim.commands import predict, train
from tests.commands.test_run import rows, run
from tests.corpus.processes import counted, end, interrupt, kill_a_worker, lines, started, wait_until
from tests.data.files import write

IMAGES = 60
LOST = r"DataLoader worker (pid"
Befall = Callable[[subprocess.Popen[str]], None]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        write(folder / f"{number:02}.png", seed=number, size=(200, 200))
    return folder


def check(befall: Befall, process: subprocess.Popen[str]) -> None:
    """How a process ends."""
    befall(process)
    status, said = end(process)
    if befall is interrupt:
        assert status == 130, said
        assert "interrupted; what has been written stays" in said
        assert "Traceback" not in said
        assert len(said.splitlines()) < 10
    else:
        assert status == 1
        assert LOST in said
        assert "Killed" in said


@pytest.mark.parametrize("befall", [interrupt, kill_a_worker])
def test_predictions_go_on(
    befall: Befall, checkpoint: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [f"checkpoint={checkpoint}", f"input={images}", "batch_size=1", "contact_sheet=false"]
    process = started("predict", *options, f"output_dir={tmp_path / 'out'}", "num_workers=1")
    found = tmp_path / "out" / "predictions.jsonl"
    wait_until(process, lambda: len(lines(found)) >= 3)
    check(befall, process)
    done = lines(found)
    assert 3 <= len(done) < IMAGES
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "overlays").iterdir()}
    for folder in ("out", "whole"):
        run(monkeypatch, predict.main, *options, f"output_dir={tmp_path / folder}")
    assert lines(found)[: len(done)] == done
    tables = [rows(tmp_path / folder / "predictions.csv") for folder in ("out", "whole")]
    assert tables[0] == tables[1]
    assert sum(path.stat().st_mtime_ns == made for path, made in drawn.items()) >= len(done)


@pytest.mark.parametrize("befall", [kill_a_worker, interrupt])
def test_a_fit_goes_on(befall: Befall, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=10", "save_every=2"]
    options = ["dataset=folder", f"dataset.root={images}", *tiny, "data.batch_size=1", f"output_dir={tmp_path}"]
    process = started("train", *options, "data.num_workers=1")
    wait_until(process, lambda: counted(tmp_path / "progress") >= 2)
    check(befall, process)
    before = counted(tmp_path / "progress")
    assert 2 <= before < IMAGES
    assert not (tmp_path / "padim.ckpt").exists()
    run(monkeypatch, train.main, *options, "data.num_workers=1")
    (log,) = tmp_path.glob("*.log")
    assert f"{before} of {IMAGES} images are counted" in log.read_text()
    assert (tmp_path / "padim.ckpt").exists()
    assert not (tmp_path / "progress").exists()
