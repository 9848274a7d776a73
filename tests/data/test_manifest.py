"""A list of images: what it says is what is read, in CSV as in JSON lines, and what it may not say."""

import json
from pathlib import Path

import pytest

from padim.data.folder import Folder
from padim.data.samples import Sample
from tests.data.files import write

ROWS = [
    {"path": "a/1.png", "split": "train"},
    {"path": "a/2.png", "split": "train", "label": 0},
    {"path": "b/1.png", "split": "test", "kind": "good"},
    {"path": "b/2.png", "split": "test", "kind": "scratch", "label": 1, "mask": "m/2.png"},
    {"path": "b/3.png", "split": "test", "label": 1},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png", "m/2.png"):
        write(tmp_path / name)
    return tmp_path


def as_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(columns)] + [",".join(str(row.get(name, "")) for name in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")  # as spreadsheets write it
    return path


def as_json(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return path


FORMATS = {"list.csv": as_csv, "list.jsonl": as_json}


@pytest.mark.parametrize("name", FORMATS)
def test_a_list_says_what_is_read(name: str, folder: Path) -> None:
    reader = Folder("elsewhere", manifest=FORMATS[name](folder / name, ROWS))
    assert reader.root == folder
    assert reader.train() == [Sample(folder / "a/1.png"), Sample(folder / "a/2.png")]
    assert reader.test() == [
        Sample(folder / "b/1.png"),
        Sample(folder / "b/2.png", "scratch", folder / "m/2.png"),
        Sample(folder / "b/3.png", "bad"),
    ]


WRONG = [
    ({"path": "b/3.png", "split": "test", "class": "good"}, r"unknown column class; known are path, split"),
    ({"path": "b/3.png", "split": "test", "kind": "good", "mask": "m/2.png"}, "is normal and has a mask"),
    ({"path": "b/9.png", "split": "test", "kind": "good"}, r"b/9.png is no file; paths are relative to"),
    ({"path": "b/3.png", "split": "test", "kind": "hole", "mask": "m/9.png"}, r"m/9.png is no file"),
    ({"path": "b/3.png", "split": "val", "kind": "good"}, "split=val; it must be train or test"),
    ({"path": "b/3.png", "kind": "good"}, "split=nothing; it must be train or test"),
    ({"split": "test", "kind": "good"}, "no path"),
    ({"path": "b/3.png", "split": "test"}, "neither kind nor label"),
    ({"path": "b/3.png", "split": "test", "label": 2}, r"label=2; it must be 0 \(normal\) or 1"),
    ({"path": "b/3.png", "split": "test", "kind": "good", "label": 1}, "label=1 and kind=good contradict"),
    ({"path": "b/3.png", "split": "train", "kind": "hole"}, "for training; only good images are fitted"),
    ({"path": "a/1.png", "split": "train"}, r"a/1.png is listed already, .*line \d"),
    ({"path": "b/../a/1.png", "split": "train"}, r"b/../a/1.png is listed already, .*line \d"),
    ({"path": "a" * 300, "split": "train"}, r"a is no file; paths are relative to"),
    ({"path": "/dev/zero", "split": "train"}, r"/dev/zero is no file; paths are relative to"),
    ({"path": "a/1.png\0", "split": "train"}, r"is no file; paths are relative to"),
    ({"path": "a/" * 3000, "split": "train"}, r"a value that is no text, or has more than 4096 characters"),
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("row", "message"), WRONG)
def test_what_a_list_may_not_say(name: str, row: dict[str, object], message: str, folder: Path) -> None:
    path = FORMATS[name](folder / name, [*ROWS[:4], row])
    with pytest.raises(
        (ValueError, FileNotFoundError), match=rf"{name}, line \d: (?s:.)*{message}(?s:.)*\nexpected:\n"
    ):
        Folder("elsewhere", manifest=path).train()


def test_lists_that_are_none(folder: Path) -> None:
    (folder / "text.jsonl").write_text("hello\n")
    (folder / "number.jsonl").write_text("3\n")
    (folder / "latin.csv").write_text("path,split,kind\na/1.png,test,Fläche\n", "latin-1")
    (folder / "sheet.csv").write_text("path,split\na/1.png,train\n", "utf-16")
    (folder / "deep.jsonl").write_text("[" * 10**5)
    (folder / "nested.jsonl").write_text('{"path": ["a/1.png"], "split": "train"}')
    (folder / "vast.csv").write_text(f"path,split\n{'a' * 2**18},train\n")
    for path, message in [
        (folder / "nowhere.csv", "dataset.manifest=.*nowhere.csv is no file"),
        (folder / "text.jsonl", "line 1: no JSON"),
        (folder / "latin.csv", "latin.csv is no text in UTF-8"),
        (folder / "sheet.csv", "sheet.csv is no text in UTF-8"),
        (folder / "number.jsonl", "line 1: no JSON object but '3'"),
        (folder / "deep.jsonl", "line 1: no JSON"),
        (folder / "nested.jsonl", "line 1: a value that is no text"),
        (folder / "vast.csv", "line 2: no CSV"),
        (as_csv(folder / "test.csv", ROWS[2:]), "lists no training images: none of its 3 has split=train"),
        (as_csv(folder / "long.csv", [{"path": "a/1.png,train,x"}]), "unknown column"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            Folder("elsewhere", manifest=path).train()
