"""Files of padim's own that a power cut or a disk has damaged: never taken for whole, and made again."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from padim.commands import predict
from padim.data.cache import HEADER, ImageCache
from padim.data.scaling import Scaling
from tests.commands.test_run import rows, run
from tests.data.files import write

SCALING = Scaling((24, 20))
LENGTH = HEADER.size + 24 * 20 * 3
Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    **{
        f"cut off at {kept}": lambda packed, kept=kept: packed[:kept] for kept in (0, 3, 4, 19, 20, 21, 700, LENGTH - 1)
    },
    "zeros": lambda packed: bytes(len(packed)),
    "zeros from its second block": lambda packed: packed[:1024] + bytes(len(packed) - 1024),
    "zeros in its header": lambda packed: bytes(HEADER.size) + packed[HEADER.size :],
    "one bit of its pixels": lambda packed: packed[:500] + bytes([packed[500] ^ 1]) + packed[501:],
    "one bit of the original's height": lambda packed: packed[:4] + bytes([packed[4] ^ 1]) + packed[5:],
    "height for width": lambda packed: packed[:12] + packed[16:20] + packed[12:16] + packed[20:],
    "more at its end": lambda packed: packed + b"\0",
    "text": lambda packed: b"\xff hello",
}


def pixels(cache: ImageCache, path: Path) -> np.ndarray:
    scaled = cache.read(path, SCALING)
    assert scaled.original == (40, 30)
    return np.asarray(scaled.image)


def entries(cache: ImageCache) -> list[Path]:
    return list(cache.folder.glob("*.padim-pixels"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_entry_that_is_damaged_is_made_again(damage: str, tmp_path: Path) -> None:
    """Zeros behind a good header were an image."""
    path, cache = write(tmp_path / "image.png", size=(40, 30)), ImageCache(tmp_path / "cache", 1)
    expected = pixels(cache, path)
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    assert len(whole) == LENGTH
    entry.write_bytes(DAMAGES[damage](whole))
    for _ in range(2):
        np.testing.assert_array_equal(pixels(cache, path), expected)
        assert entry.read_bytes() == whole


def test_an_entry_that_lies_under_the_name_of_another_is_made_again(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.png", size=(40, 30), seed=seed) for seed in range(2)]
    cache = ImageCache(tmp_path / "cache", 1)
    expected = [pixels(cache, path) for path in paths]
    assert not np.array_equal(*expected)
    one, other = entries(cache)
    one.write_bytes(other.read_bytes())
    for path, image in zip(paths, expected, strict=True):
        np.testing.assert_array_equal(pixels(cache, path), image)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\xff\xfe", b"0" * 64, b"../" * 20])
def test_a_hash_that_is_damaged_is_made_again(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no UTF-8 ended the run."""
    monkeypatch.setattr("padim.data.cache.FRESH", -1)
    path, cache = write(tmp_path / "image.png", size=(40, 30)), ImageCache(tmp_path / "cache", 1)
    expected = pixels(cache, path)
    (known,) = cache.folder.glob("*.padim-content")
    whole = known.read_bytes()
    known.write_bytes(content)
    np.testing.assert_array_equal(pixels(cache, path), expected)
    assert known.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:100],
        lambda line: bytes(len(line) - 3) + line[-3:],
        lambda line: b"\xff\xfe" + line[2:],
        lambda line: line[:50] + b"}\n" + line[50:],
    ],
    ids=["cut off", "zeros", "no UTF-8", "a line too many"],
)
def test_a_prediction_that_is_damaged_is_made_again(
    damage: Damage, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is no JSON ended the run."""
    for seed in range(3):
        write(tmp_path / "images" / f"{seed}.png", seed=seed)
    out = tmp_path / "out"
    options = [f"checkpoint={checkpoint}", f"input={tmp_path / 'images'}", f"output_dir={out}", "batch_size=1"]
    tables = [*options, "overlays=false", "contact_sheet=false"]
    run(monkeypatch, predict.main, *tables)
    before = rows(out / "predictions.csv")
    first, second, third = (out / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    (out / "predictions.jsonl").write_bytes(first + damage(second) + third)
    run(monkeypatch, predict.main, *tables)
    after = rows(out / "predictions.csv")
    assert sorted(after, key=lambda row: row["path"]) == before
    assert all(json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines())
