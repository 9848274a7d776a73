"""padim-train and padim-predict on a folder that holds the whole corpus: complete tables, and nothing is lost."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from padim.checkpoint import read_checkpoint
from padim.commands import predict, train
from padim.data.decoding import UnreadableImageError
from tests.commands.test_run import rows, run
from tests.corpus.images import CORPUS, NOISE, READ, REFUSED
from tests.corpus.odd import BROKEN, NAMES, odd_files, paths
from tests.data.files import write

TINY = ["dataset=folder", "dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All of it; names that are odd, of images that are not; and what is no file."""
    with odd_files(tmp_path_factory.mktemp("corpus")) as odd:
        for name, case in CORPUS.items():
            (odd / name).write_bytes(case.content)
        for path in paths(odd):
            write(path, NOISE)
        yield odd


def kept(folder: Path) -> list[Path]:
    return [*(folder / name for name in READ), *paths(folder)]


def left(folder: Path) -> list[Path]:
    return [folder / name for name in [*REFUSED, *BROKEN]]


def as_text(files: list[Path]) -> list[str]:
    """Sorted, as tables in UTF-8 have them: what is no Unicode is escaped."""
    return sorted(str(path).encode(errors="backslashreplace").decode() for path in files)


def test_predictions_are_complete_and_a_rerun_repeats_none(
    checkpoint: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = [f"checkpoint={checkpoint}", f"input={folder}", f"output_dir={out}", "maps=npy"]
    run(monkeypatch, predict.main, *options)
    records = [json.loads(line) for line in (out / "predictions.jsonl").read_text("ascii").splitlines()]
    assert sorted(record["path"] for record in records) == sorted(map(str, kept(folder)))
    assert [row["path"] for row in rows(out / "predictions.csv")] == [
        record["path"].encode(errors="backslashreplace").decode() for record in records
    ]
    assert all(np.isfinite(record["score"]) for record in records)
    skipped = {row["path"]: row["reason"] for row in rows(out / "skipped.csv")}
    assert sorted(skipped) == as_text(left(folder))
    assert all(Path(path).name in reason for path, reason in skipped.items())
    drawn = {path: path.stat().st_mtime_ns for kind in ("overlays", "maps") for path in (out / kind).iterdir()}
    assert len(drawn) == 2 * len(kept(folder))
    assert np.load(out / "maps" / "wide.png.npy").shape == (20, 20_000)
    assert not any(path.name[0] == "." for path in drawn)
    before = (out / "predictions.jsonl").read_bytes()
    capsys.readouterr()
    run(monkeypatch, predict.main, *options)
    assert f"images  {len(kept(folder))}, {len(kept(folder))} of them before" in capsys.readouterr().out
    assert (out / "predictions.jsonl").read_bytes() == before
    assert drawn == {path: path.stat().st_mtime_ns for path in drawn}


def test_a_fit_stops_at_the_first_that_cannot_be_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = min(left(folder))
    with pytest.raises(UnreadableImageError, match=rf"cannot read the image {first} \("):
        run(monkeypatch, train.main, *TINY, f"dataset.root={folder}", f"output_dir={tmp_path}")
    assert not (tmp_path / "padim.ckpt").exists()


@pytest.mark.parametrize("cache", ["false", "true"])
def test_a_fit_takes_what_predictions_take(
    cache: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["dataset.on_error=skip", f"dataset.cache={cache}", f"dataset.cache_dir={tmp_path / 'cache'}"]
    run(monkeypatch, train.main, *TINY, f"dataset.root={folder}", f"output_dir={tmp_path / 'run'}", *options)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["skipped_images"]) == (len(kept(folder)), len(left(folder)))
    assert sorted(row["path"] for row in rows(tmp_path / "run" / "skipped.csv")) == as_text(left(folder))
    counted = [name for name, _ in read_checkpoint(tmp_path / "run" / "padim.ckpt")["images"]]
    assert sorted(counted) == sorted(path.name for path in kept(folder))


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_any_name_is_held_out_augmented_tested_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits, views and tables took all names for Unicode, and the figure took dollars for mathematics."""
    oddest = [*range(3), NAMES.index(b"$mathematics$ ^.png"), 14, 15]
    tested = [paths(tmp_path / part)[index] for index, part in zip(oddest, 3 * ["test_good", "test_bad"], strict=True)]
    for seed, path in enumerate([*paths(tmp_path / "train"), *tested]):
        write(path, seed=seed)
    views = ["dataset.calibration_fraction=0.3", "augmentation.repeats=2", "augmentation.angle=5"]
    run(monkeypatch, train.main, *TINY, *views, f"dataset.root={tmp_path}", f"output_dir={tmp_path / 'run'}")
    assert sorted(row["path"] for row in rows(tmp_path / "run" / "predictions.csv")) == as_text(tested)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["train_images"] == 2 * (len(NAMES) - math.ceil(0.3 * len(NAMES)))
