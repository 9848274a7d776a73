"""VisA: what is found by its CSV, and what is wrong with either."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from padim.data.samples import Sample
from padim.data.visa import VisA
from tests.data.files import write

FILES = ("Images/Normal/0000.JPG", "Images/Normal/0001.JPG", "Images/Anomaly/000.JPG", "Masks/Anomaly/000.png")
CSV = """object,split,label,image,mask
candle,train,normal,candle/Data/Images/Normal/0001.JPG,
candle,test,normal,candle/Data/Images/Normal/0000.JPG,
candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png
pcb1,train,normal,pcb1/Data/Images/Normal/0001.JPG,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        write(tmp_path / "candle/Data" / name)
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text(CSV)
    return tmp_path


def test_listing(root: Path) -> None:
    reader, data = VisA(root, "candle"), root / "candle/Data"
    assert reader.train() == [Sample(data / "Images/Normal/0001.JPG")]
    assert reader.test() == [
        Sample(data / "Images/Normal/0000.JPG"),
        Sample(data / "Images/Anomaly/000.JPG", "anomaly", data / "Masks/Anomaly/000.png"),
    ]


def drop(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def edit(old: str, new: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / "split_csv/1cls.csv"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1), encoding)

    return change


def add(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        write(root / name)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("split_csv"), "no file .*1cls.csv, which says what is for training"),
        (edit("object,split", "class,split"), "1cls.csv lacks object in its first line"),
        (edit("candle,train", "pcb1,train"), "no row with object candle and split train"),
        (edit("candle,train,normal", "candle,val,normal"), "0001.JPG is val, normal in .*allowed are train, normal"),
        (edit("Normal/0000.JPG,", "Normal/0000.JPG,candle/a.png"), "the normal image .*0000.JPG has a mask in .*csv"),
        (edit("Normal/0000.JPG", "Normal/0001.JPG"), "two images of one name in .*1cls.csv: candle/Data/Images/Nor"),
        (drop("candle/Data/Images/Normal/0000.JPG"), "no image .*0000.JPG, which .*1cls.csv lists"),
        (drop("candle/Data/Masks/Anomaly/000.png"), "000.JPG has no mask; expected it at .*Anomaly/000.png"),
        (edit("Normal/0000.JPG", "Normal//0001.JPG"), "two images of one name in .*1cls.csv: candle/Data/Images/Nor"),
        (
            edit("object,split", "objet sélectionné,split", "latin-1"),
            "1cls.csv is no text in UTF-8 .*; save it as that",
        ),
        (add("candle/Data/Masks/Normal/0000.png"), "Normal/0000.png has no image: no row of .* names it; add one"),
        (add("candle/Data/Masks/Anomaly/001.png"), "Anomaly/001.png has no image: no row of .* names it; add one"),
        (
            edit("candle,train,normal", "candle,train,anomaly"),
            "0001.JPG is train, anomaly in .*allowed are train, no",
        ),
        (
            edit("candle/Data/Masks/Anomaly/000.png", ""),
            "000.JPG has no mask; expected it in the last column of .*1cls",
        ),
    ],
)
def test_what_is_wrong_is_named_and_the_layout_shown(root: Path, change: Callable[[Path], None], message: str) -> None:
    change(root)
    with pytest.raises((FileNotFoundError, ValueError), match=f"{message}(?s:.)*\nexpected:\n    ROOT/"):
        VisA(root, "candle").train()


def test_no_such_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.root=.*nowhere is no folder; (?s:.)*\nexpected:\n    ROOT/"):
        VisA(tmp_path / "nowhere", "candle").train()


def test_an_unknown_category_lists_those_of_the_csv(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no category 'candles' in .*1cls.csv; there is candle, pcb1"):
        VisA(root, "candles").test()
