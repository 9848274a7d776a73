"""The cache of resized images: never another bit, shared by processes, bounded, and off where it cannot be."""

import errno
import multiprocessing
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from padim.data.cache import FRESH, ImageCache
from padim.data.folder import Folder
from padim.data.module import ImageDataModule
from padim.data.samples import Batch, ImageDataset, Pose, Sample
from padim.data.scaling import Scaling
from tests.data.files import write

SIZE = (24, 20)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"images/{n}.png", size=(30 + n, 40), seed=n) for n in range(4)]


def age(paths: list[Path]) -> None:
    """Until a change would surely change their times."""
    newest = max(max(path.stat().st_mtime, path.stat().st_ctime) for path in paths)
    time.sleep(max(0, newest + FRESH + 0.05 - time.time()))


def cached(folder: Path, gigabytes: float = 1.0) -> ImageCache:
    cache = ImageCache(folder / "cache", gigabytes)
    cache.prepare()
    return cache


def items(paths: list[Path], cache: ImageCache | None, keep_aspect: bool = False) -> list[Batch]:
    pose = Pose(5.0, 0.5, 0.5)
    samples = [Sample(path, "bad", path, pose if n % 2 else None) for n, path in enumerate(paths)]
    return list(ImageDataset(samples, SIZE, SIZE, "bicubic", keep_aspect, cache))  # type: ignore[call-overload]


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    """The pixels, what is known of them, and the hash of the file."""
    pairs = [(x, y) for a, b in zip(ours, theirs, strict=True) for x, y in zip(a[:6], b[:6], strict=True)]
    return [one.content for one in ours] == [one.content for one in theirs] and all(torch.equal(x, y) for x, y in pairs)


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(Scaling, "read", read)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("keep_aspect", [False, True])
def test_a_hit_is_the_same_tensor(
    old: bool, keep_aspect: bool, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With masks, which need the size of the file; by the content alone where a file is too new to be known."""
    if old:
        age(images)
    expected = items(images, None, keep_aspect)
    assert same(items(images, cached(tmp_path), keep_aspect), expected)
    assert len(list((tmp_path / "cache").glob("*.padim-content"))) == (len(images) if old else 0)
    forbid_decoding(monkeypatch)
    if old:
        monkeypatch.setattr("padim.data.cache.sha256", refuse_large)
    assert same(items(images, cached(tmp_path), keep_aspect), expected)


def refuse_large(content: bytes) -> object:
    import hashlib

    assert len(content) < 500, "a whole file was hashed again"
    return hashlib.sha256(content)


def test_other_options_are_other_entries(images: list[Path], tmp_path: Path) -> None:
    cache = cached(tmp_path)
    for size in (SIZE, (20, 24)):
        for interpolation in ("bicubic", "bilinear"):
            for keep_aspect in (False, True):
                scaling = Scaling(size, interpolation, keep_aspect)
                for _ in range(2):
                    ours, plain = cache.read(images[0], scaling), scaling.read(images[0])
                    np.testing.assert_array_equal(np.asarray(ours.image), np.asarray(plain.image))
    assert len(list((tmp_path / "cache").glob("*.padim-pixels"))) == 8


def test_a_file_that_moves_or_is_copied_hits(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = items(images, cached(tmp_path))
    moved = [path.rename(tmp_path / path.name) for path in images]
    samples = [Sample(path) for path in moved]
    forbid_decoding(monkeypatch)
    dataset = ImageDataset(samples, SIZE, SIZE, "bicubic", cache=cached(tmp_path))
    assert torch.equal(dataset[0].image, expected[0].image)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_changes_misses(old: bool, images: list[Path], tmp_path: Path) -> None:
    """Even when size and time of modification are what they were, as after rsync --times."""
    path = write(tmp_path / "images/changing.bmp", seed=1)
    if old:
        age([path])
    before = path.stat()
    items([path], cached(tmp_path))
    write(path, seed=2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert same(items([path], cached(tmp_path)), items([path], None))


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"\1" * 15])
def test_half_an_entry_is_no_entry(damage: bytes, images: list[Path], tmp_path: Path) -> None:
    """As a power cut leaves them."""
    age(images)
    items(images, cached(tmp_path))
    for name in ("*.padim-pixels", "*.padim-content"):
        for path in (tmp_path / "cache").glob(name):
            path.write_bytes(damage if name == "*.padim-pixels" else damage[:10])
        for _ in range(2):
            assert same(items(images, cached(tmp_path)), items(images, None))


def _process(images: list[Path], folder: Path, gigabytes: float, failures: "multiprocessing.Queue[str]") -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected, cache = items(images, None), cached(folder, gigabytes)
            for _ in range(30):
                if not same(items(images, cache), expected):
                    failures.put("another picture")
    except Exception as error:
        failures.put(repr(error))
        raise


@pytest.mark.parametrize("gigabytes", [1.0, 20e-6])
def test_two_processes_at_once(gigabytes: float, images: list[Path], tmp_path: Path) -> None:
    """With room for all, and with room for so little that each deletes what the other reads."""
    context = multiprocessing.get_context("fork")
    failures = context.Queue()
    workers = [context.Process(target=_process, args=(images, tmp_path, gigabytes, failures)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert failures.empty()
    assert not list((tmp_path / "cache").glob("*.padim-part"))


def test_workers_share_it(images: list[Path], tmp_path: Path) -> None:
    def pixels(**options: object) -> torch.Tensor:
        data = ImageDataModule(Folder(images[0].parent), SIZE, SIZE, batch_size=2, **options)  # type: ignore[arg-type]
        data.setup("fit")
        return torch.cat([batch.image for batch in data.train_dataloader()])

    cache = {"cache": True, "cache_dir": tmp_path / "cache"}
    expected = pixels()
    for num_workers in (2, 2, None, 0):
        assert torch.equal(pixels(num_workers=num_workers, **cache), expected)
    assert len(list((tmp_path / "cache").glob("*.padim-pixels"))) == len(images)


def used(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.iterdir())


def test_it_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    images = [write(tmp_path / f"images/{n}.png", seed=n) for n in range(30)]
    foreign = tmp_path / "cache" / "photo.png"
    write(foreign).touch()
    cache = cached(tmp_path, 50e-6)  # twelve blocks
    for path in images:
        cache.read(path, Scaling(SIZE))
        assert used(tmp_path / "cache") - 4096 <= 50_000
        time.sleep(0.002)
    assert foreign.is_file()
    assert 8 <= len(list((tmp_path / "cache").glob("*.padim-pixels"))) <= 12
    kept = {path.name for path in (tmp_path / "cache").glob("*.padim-pixels")}
    for path in images[-8:]:
        cache.read(path, Scaling(SIZE))
    assert {path.name for path in (tmp_path / "cache").glob("*.padim-pixels")} == kept


def test_an_image_larger_than_the_cache_is_not_kept(images: list[Path], tmp_path: Path) -> None:
    cache = cached(tmp_path, 1e-6)
    assert same(items(images, cache), items(images, None))
    assert not list((tmp_path / "cache").glob("*.padim-pixels"))


def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cache").mkdir(mode=0o555)
    if os.geteuid() == 0:  # whom no mode stops
        fail(monkeypatch, errno.EROFS)


def no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cache").write_text("a file where the folder should be")


def full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, errno.ENOSPC)


def fail(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def write_bytes(path: Path, content: bytes) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("obstacle", [read_only, no_folder, full_disk])
def test_where_it_cannot_be_written_it_is_off_with_one_warning(
    obstacle: Callable[[Path, pytest.MonkeyPatch], None],
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = items(images, None)
    obstacle(tmp_path, monkeypatch)
    data = ImageDataModule(Folder(images[0].parent), SIZE, SIZE, cache=True, cache_dir=tmp_path / "cache")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.setup("fit")
        data.setup("test")
        (batch,) = data.train_dataloader()
    (warning,) = caught
    assert re.search("the image cache is off, since .*cache cannot be written to .*make room", str(warning.message))
    assert torch.equal(batch.image[0], expected[0].image)


def test_a_disk_that_fills_up_on_the_way(images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, cache = items(images, None), cached(tmp_path)
    assert same(items(images[:2], cache), expected[:2])
    full_disk(tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert same(items(images, cache), expected)
    assert same(items(images, cache), expected)  # silently
    assert not list((tmp_path / "cache").glob("*.padim-part"))


def test_one_warning_of_all_workers(images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker of each loader gave its own."""
    cache = {"cache": True, "cache_dir": tmp_path / "cache"}
    data = ImageDataModule(Folder(images[0].parent), SIZE, SIZE, batch_size=1, num_workers=2, **cache)  # type: ignore[arg-type]
    data.setup("fit")
    full_disk(tmp_path, monkeypatch)

    def tell(message: Warning | str, *_: object) -> None:
        with (tmp_path / "told").open("a") as file:
            print(message, file=file)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", tell)
        for _ in range(2):
            assert sum(len(batch.label) for batch in data.train_dataloader()) == len(images)
    assert (tmp_path / "told").read_text().count("the image cache is off") == 1


def test_what_cannot_be_read_says_so_as_without(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    for name, message in (("text.png", r"cannot read the image .*text.png"), ("nowhere.png", "nowhere.png")):
        for cache in (None, cached(tmp_path)):
            with pytest.raises((ValueError, FileNotFoundError), match=message):
                items([tmp_path / name], cache)


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dataset.cache_gb=0; it must be above 0"):
        ImageDataModule(Folder("root"), SIZE, SIZE, cache=True, cache_gb=0)


@pytest.mark.slow
def test_a_second_run_loads_five_times_faster(tmp_path: Path) -> None:
    """A dozen PNGs of 900 pixels."""
    images = [write(tmp_path / f"images/{n}.png", size=(900, 900), seed=n) for n in range(12)]
    age(images)

    def seconds(cache: ImageCache) -> float:
        dataset = ImageDataset([Sample(path) for path in images], (256, 256), (224, 224), "bicubic", cache=cache)
        start = time.perf_counter()
        for n in range(len(dataset)):
            dataset[n]
        return time.perf_counter() - start

    first = seconds(cached(tmp_path))
    assert min(seconds(cached(tmp_path)) for _ in range(3)) < first / 5
