"""A disk that is full or read-only: the error names the file, what was there stays whole, and a rerun completes."""

import json
import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from padim.checkpoint import AtomicCheckpointIO, read_checkpoint
from padim.commands import predict, train
from padim.data.cache import ImageCache
from padim.data.scaling import Scaling
from tests.commands.test_run import command, rows, run
from tests.data.files import write

IMAGES = 40
KIB = 1024


class Disk:
    """A disk of its own, as large as is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, options: str) -> None:
        """Of this size; again of another, which keeps what is there."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path], check=True)

    @contextmanager
    def read_only(self) -> Iterator[Path]:
        """A place where the same disk is that."""
        (view := self.path.with_name("view")).mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", self.path, view], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
            yield view
        finally:
            subprocess.run(["umount", "--lazy", view], check=True)

    def fill(self, left: int) -> Path:
        """So that so many bytes are free; returns what takes the room."""
        free = os.statvfs(self.path)
        (filler := self.path / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - left))
        return filler


@pytest.fixture
def disk() -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk that is small enough to be full")
    with tempfile.TemporaryDirectory() as folder:
        small = Disk(Path(folder) / "disk")
        small.path.mkdir()
        try:
            small.mount("size=4m")
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        try:
            yield small
        finally:
            subprocess.run(["umount", "--lazy", small.path], check=True)  # Hydra's log is still open


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        write(folder / f"{number:02}.png", seed=number, size=(40, 40))
    return folder


@pytest.fixture
def predicted(checkpoint: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Predict into a folder."""

    def into(folder: Path, *options: str) -> None:
        given = [f"checkpoint={checkpoint}", f"input={images}", f"output_dir={folder}", "batch_size=1", *options]
        run(monkeypatch, predict.main, *given)

    return into


TABLES = ["overlays=false", "contact_sheet=false"]


def whole_lines(folder: Path) -> list[str]:
    return [line for line in (folder / "predictions.jsonl").read_text().splitlines(True) if line[-1] == "\n"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "options", "named"),
    [
        (100 * KIB, ["contact_sheet=false"], r"overlays/\d+\.png\.jpg"),
        (100 * KIB, [*TABLES, "maps=npy"], r"maps/\d+\.png\.npy"),
        (100 * KIB, [*TABLES, "maps=tiff"], r"maps/\d+\.png\.tiff"),
        (48 * KIB, TABLES, r"predictions\.(jsonl|csv)"),
    ],
)
def test_predictions_on_a_disk_that_fills_up(
    left: int, options: list[str], named: str, predicted: Callable[..., None], disk: Disk, tmp_path: Path
) -> None:
    """The rest is made once there is room. Pillow cut off the last picture, which was then on record as whole."""
    out = disk.path / "out"
    filler = disk.fill(left)
    with pytest.raises(OSError, match=rf"No space left on device: '{out}/{named}'"):
        predicted(out, *options)
    done = whole_lines(out)
    assert 0 < len(done) < IMAGES
    assert all(json.loads(line) for line in done)
    assert not [path for path in out.rglob("*") if "part" in path.name]
    filler.unlink()
    for folder in (out, tmp_path / "whole"):
        predicted(folder, *options)
    assert whole_lines(out)[: len(done)] == done
    assert rows(out / "predictions.csv") == rows(tmp_path / "whole" / "predictions.csv")
    for path in [*(out / "maps").glob("*.npy"), *(out / "overlays").glob("*")]:
        assert path.read_bytes() == (tmp_path / "whole" / path.relative_to(out)).read_bytes()


@pytest.mark.slow
def test_what_is_predicted_stays_where_there_is_no_room_to_go_on(
    predicted: Callable[..., None], images: Path, disk: Disk
) -> None:
    """The table was emptied before it was written anew, and an overlay cut off that could not be replaced."""
    out = disk.path / "out"
    predicted(out)
    files = [
        *(out / name for name in ("predictions.jsonl", "predictions.csv", "made_with.json")),
        out / "overlays/00.png.jpg",
    ]
    before = {path: path.read_bytes() for path in files}
    filler = disk.fill(0)
    with pytest.raises(OSError, match=f"No space left on device: '{out}/"):
        predicted(out)
    assert {path: path.read_bytes() for path in files} == before
    filler.unlink()
    disk.fill(32 * KIB)
    write(images / "00.png", seed=IMAGES, size=(400, 400))
    with pytest.raises(OSError, match=r"No space left on device: '.*/overlays/00.png.jpg'"):
        predicted(out)
    assert (out / "overlays/00.png.jpg").read_bytes() == before[out / "overlays/00.png.jpg"]
    Image.open(out / "overlays/00.png.jpg").verify()


@pytest.mark.slow
def test_the_status_tells(checkpoint: Path, images: Path, disk: Disk) -> None:
    disk.fill(24 * KIB)
    result = command(
        "predict",
        f"checkpoint={checkpoint}",
        f"input={images}",
        f"output_dir={disk.path / 'out'}",
        "contact_sheet=false",
    )
    assert result.returncode == 1
    assert f"No space left on device: '{disk.path}/out/" in result.stderr


def test_a_disk_that_is_read_only(predicted: Callable[..., None], disk: Disk) -> None:
    predicted(disk.path / "old")
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    with disk.read_only() as view:
        for folder in (view / "new", view / "old"):
            with pytest.raises((OSError, ValueError)) as raised:
                predicted(folder)
            reason = raised.value.__cause__ or raised.value  # logging says less
            assert f"Read-only file system: '{folder}" in str(reason)
    assert {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()} == before


def test_the_cache_turns_itself_off(images: Path, disk: Disk) -> None:
    """By one warning; what it holds by then is right."""
    disk.fill(60 * KIB)
    cache, scaling, paths = ImageCache(disk.path / "cache", 1), Scaling((64, 64)), sorted(images.iterdir())
    expected = [np.asarray(scaling.read(path).image) for path in paths]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path, pixels in zip(paths, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(cache.read(path, scaling).image), pixels)
    (warning,) = caught
    assert f"the image cache is off, since {disk.path / 'cache'} cannot be written to ([Errno 28]" in str(
        warning.message
    )
    assert 0 < len(list((disk.path / "cache").iterdir())) < len(paths)
    assert not list((disk.path / "cache").glob("*.padim-part"))
    with disk.read_only() as view:
        again = ImageCache(view / "cache", 1)
        with pytest.warns(UserWarning, match=r"cannot be written to \(\[Errno 30\] Read-only"):
            again.prepare()
    np.testing.assert_array_equal(np.asarray(again.read(paths[0], scaling).image), expected[0])


@pytest.mark.parametrize("size", [300 * KIB, 64 * KIB, 61 * KIB])
def test_a_checkpoint_is_written_whole_or_not_at_all(size: int, disk: Disk) -> None:
    """Torch said "unexpected pos 704 vs 598", and no name."""
    path = disk.path / "padim.ckpt"
    content = {"config": {}, "state_dict": {}, "hyper_parameters": {}}
    AtomicCheckpointIO().save_checkpoint(content, path)
    disk.fill(60 * KIB)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        AtomicCheckpointIO().save_checkpoint(content | {"state_dict": {"x": torch.zeros(size // 4)}}, path)
    assert read_checkpoint(path)["state_dict"] == {}
    assert {one.name for one in disk.path.iterdir()} == {"padim.ckpt", "filler"}


def fitting(images: Path) -> list[str]:
    tiny = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=10", "save_every=null"]
    return ["dataset=folder", f"dataset.root={images}", *tiny]


def test_a_fit_on_a_disk_that_is_read_only(images: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.mount("remount,size=100m")
    run(monkeypatch, train.main, *fitting(images), f"output_dir={disk.path / 'old'}")
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    with disk.read_only() as view:
        for folder in (view / "new", view / "old"):
            with pytest.raises((OSError, ValueError)) as raised:
                run(monkeypatch, train.main, *fitting(images), f"output_dir={folder}")
            reason = raised.value.__cause__ or raised.value  # logging says less
            assert f"Read-only file system: '{folder}" in str(reason)
    assert {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()} == before


def test_a_fit_whose_checkpoint_finds_no_room(images: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*fitting(images), f"output_dir={disk.path}"]
    filler = disk.fill(200 * KIB)
    with pytest.raises(OSError, match=f"No space left on device: '{disk.path}/padim.ckpt'"):
        run(monkeypatch, train.main, *options)
    assert not (disk.path / "padim.ckpt").exists()
    assert not (disk.path / "finished.json").exists()
    filler.unlink()
    disk.mount("remount,size=100m")
    run(monkeypatch, train.main, *options)
    assert len(read_checkpoint(disk.path / "padim.ckpt")["images"]) == IMAGES
