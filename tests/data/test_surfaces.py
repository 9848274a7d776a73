"""KolektorSDD, KolektorSDD2 and the magnetic tiles: masks beside images, and splits that have to be made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from padim.commands import CONF
from padim.data.hashing import uniform
from padim.data.kolektor import Kolektor
from padim.data.kolektor2 import Kolektor2
from padim.data.magnetic_tile import MagneticTile
from padim.data.samples import Sample
from tests.data.files import write

EMPTY = np.zeros((8, 8), np.uint8)
MARKED = np.eye(8, dtype=np.uint8)  # 1 is hard to see, and anomalous
TRAINED, TESTED = ("kos01", "kos03", "kos04", "kos06"), ("kos02", "kos05")  # fold 1 of 3
FITTED = (0, 3, 5, 7)  # half of the normal tiles


def kolektor(root: Path) -> Path:
    """Six items with three scans each, of which Part1 shows a defect."""
    for item in range(1, 7):
        for part in range(3):
            write(root / f"kos{item:02d}/Part{part}.jpg")
            write(root / f"kos{item:02d}/Part{part}_label.bmp", MARKED if part == 1 else EMPTY)
    return root


def kolektor2(root: Path) -> Path:
    for name in ("train/10000", "train/10001", "test/20000", "test/20001"):
        write(root / f"{name}.png")
        write(root / f"{name}_GT.png", MARKED if name.endswith("1") else EMPTY)
    write(root / "train/10000 (copy).png")  # as in the archive
    write(root / "train/10000_GT (copy).png", EMPTY)
    return root


def magnetic_tile(root: Path) -> Path:
    for number in range(8):
        write(root / f"MT_Free/Imgs/exp1_num_{number}.jpg")
        write(root / f"MT_Free/Imgs/exp1_num_{number}.png", EMPTY)
    for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven"):
        write(root / f"MT_{kind}/Imgs/exp2_num_9.jpg", size=(8, 8))
        write(root / f"MT_{kind}/Imgs/exp2_num_9.png", EMPTY if kind == "Uneven" else MARKED)
    return root


def listing(samples: list[Sample], root: Path) -> list[tuple[str, str, str | None]]:
    return [
        (str(s.path.relative_to(root)), s.kind, str(s.mask.relative_to(root)) if isinstance(s.mask, Path) else None)
        for s in samples
    ]


def test_kolektor(tmp_path: Path) -> None:
    """The folds are what they were: whoever deals the items otherwise gives the split another name."""
    reader = Kolektor(kolektor(tmp_path), fold=1)
    assert listing(reader.train(), tmp_path) == [
        (f"{item}/Part{part}.jpg", "good", None) for item in TRAINED for part in (0, 2)
    ]
    assert listing(reader.test(), tmp_path) == [
        (f"{item}/Part{part}.jpg", *(("defect", f"{item}/Part1_label.bmp") if part == 1 else ("good", None)))
        for item in TESTED
        for part in range(3)
    ]


@pytest.mark.parametrize("folds", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_no_item_of_kolektor_is_on_both_sides(tmp_path: Path, folds: int, seed: int) -> None:
    """And every item is tested once, in folds of nearly one size."""
    kolektor(tmp_path)
    tested = []
    for fold in range(folds):
        reader = Kolektor(tmp_path, fold, folds, seed)
        fitted, held_out = ({s.path.parent.name for s in samples} for samples in (reader.train(), reader.test()))
        assert len(fitted) + len(held_out) == 6
        assert not fitted & held_out
        assert len(held_out) in (6 // folds, -(-6 // folds))
        assert not any(sample.label for sample in reader.train())
        tested += held_out
    assert len(tested) == len(set(tested)) == 6


def test_kolektor2(tmp_path: Path) -> None:
    reader = Kolektor2(kolektor2(tmp_path))
    assert listing(reader.train(), tmp_path) == [("train/10000.png", "good", None)]
    assert listing(reader.test(), tmp_path) == [
        ("test/20000.png", "good", None),
        ("test/20001.png", "defect", "test/20001_GT.png"),
    ]


def test_magnetic_tile(tmp_path: Path) -> None:
    reader = MagneticTile(magnetic_tile(tmp_path), train_fraction=0.5)
    free = [f"MT_Free/Imgs/exp1_num_{n}.jpg" for n in range(8)]
    assert listing(reader.train(), tmp_path) == [(free[n], "good", None) for n in FITTED]
    assert listing(reader.test(), tmp_path) == [(free[n], "good", None) for n in range(8) if n not in FITTED] + [
        (f"MT_{k}/Imgs/exp2_num_9.jpg", k.lower(), f"MT_{k}/Imgs/exp2_num_9.png")
        for k in ("Blowhole", "Break", "Crack", "Fray", "Uneven")
    ]


def test_a_picture_that_is_added_moves_no_other(tmp_path: Path) -> None:
    before = MagneticTile(magnetic_tile(tmp_path), seed=3).train()
    write(tmp_path / "MT_Free/Imgs/exp1_num_00.jpg")
    assert set(before) <= set(MagneticTile(tmp_path, seed=3).train())


def test_hashes_are_uniform_and_differ_by_seed() -> None:
    drawn = np.array([[uniform(seed, f"{n}.jpg") for n in range(4000)] for seed in range(2)])
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert np.abs((drawn < 0.8).mean(1) - 0.8).max() < 0.02
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.05


READERS = {"kolektor": (kolektor, Kolektor), "kolektor2": (kolektor2, Kolektor2)}
READERS["magnetic_tile"] = (magnetic_tile, MagneticTile)
ERRORS = [
    ("kolektor", "- kos01/Part0_label.bmp", "kos01/Part0.jpg has no mask; expected it at .*kos01/Part0_label.bmp"),
    ("kolektor", "- kos01/Part0.jpg", "the mask .*kos01/Part0_label.bmp has no image"),
    ("kolektor", "+ kos01/Part0.png", "two images of one name, .*kos01/Part0.jpg and .*kos01/Part0.png"),
    ("kolektor", "+ kos01/Part0_label.png", "two images of one name"),
    (
        "kolektor",
        "- " + " ".join(f"kos01/Part{part}{ending}" for part in range(3) for ending in (".jpg", "_label.bmp")),
        "no scans in .*kos01",
    ),
    ("kolektor", "/ kos02/Part0_label.bmp", "cannot read the mask .*kos02/Part0_label.bmp"),
    ("kolektor2", "- test/20001_GT.png", "test/20001.png has no mask; expected it at .*test/20001_GT.png"),
    ("kolektor2", "- train/10001.png", "the mask .*train/10001_GT.png has no image"),
    ("kolektor2", "+ train/10001.jpg", "two images of one name"),
    ("kolektor2", "- train/10000.png train/10000_GT.png", "no training images: .*train has no normal picture"),
    ("kolektor2", "- test/20000.png test/20000_GT.png test/20001.png test/20001_GT.png", "no test images: .*test"),
    ("magnetic_tile", "- MT_Crack/Imgs/exp2_num_9.png", "MT_Crack/Imgs/exp2_num_9.jpg has no mask; expected it at"),
    ("magnetic_tile", "- MT_Crack/Imgs/exp2_num_9.jpg", "no images in .*MT_Crack/Imgs"),
    ("magnetic_tile", "+ MT_Crack/Imgs/exp2_num_8.png", "the mask .*MT_Crack/Imgs/exp2_num_8.png has no image"),
    ("magnetic_tile", "+ MT_Crack/Imgs/exp2_num_9.bmp", "two images of one name"),
]


@pytest.mark.parametrize(("name", "change", "message"), ERRORS)
def test_what_is_wrong_is_named_and_the_layout_shown(name: str, change: str, message: str, tmp_path: Path) -> None:
    tree, make = READERS[name]
    reader, (sign, *files) = make(tree(tmp_path)), change.split()
    for path in (tmp_path / file for file in files):
        if sign == "+":
            write(path)
        elif sign == "-":
            path.unlink()
        else:
            path.write_text("no image")
    layout = "" if sign == "/" else "(?s:.)*\nexpected:\n    ROOT/"
    with pytest.raises((FileNotFoundError, ValueError), match=message + layout):
        (reader.train(), reader.test())


@pytest.mark.parametrize(("tree", "make"), READERS.values())
def test_no_such_root(tree: Callable[[Path], Path], make: type[Kolektor], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.root=.*nowhere is no folder; (?s:.)*\nexpected:\n    ROOT/"):
        make(tmp_path / "nowhere").train()


def test_a_root_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"0 items in .* for dataset.folds=3(?s:.)*ROOT/kosNN/PartM.jpg"):
        Kolektor(tmp_path).train()
    with pytest.raises(FileNotFoundError, match=r"no folder .*MT_Free/Imgs(?s:.)*ROOT/MT_Free"):
        MagneticTile(tmp_path).train()


def test_splits_there_are_not() -> None:
    with pytest.raises(ValueError, match=r"dataset.fold=3: with dataset.folds=3 it is 0 to 2"):
        Kolektor("root", fold=3)
    with pytest.raises(ValueError, match=r"dataset.folds=1: one to test and at least one to fit"):
        Kolektor("root", folds=1)
    with pytest.raises(ValueError, match=r"dataset.train_fraction=1; it must be above 0 and below 1"):
        MagneticTile("root", train_fraction=1)


def test_from_the_command_line() -> None:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", ["dataset=kolektor", "dataset.fold=2", "dataset.seed=7", "dataset.folds=4"])
    reader = instantiate(config.dataset.reader)
    assert (reader.fold, reader.folds, reader.seed) == (2, 4, 7)
