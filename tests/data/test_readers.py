"""The public data sets that share MVTec AD's layout: what is found in a tree of theirs, and what is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from padim.data.btad import BTAD
from padim.data.loco import LOCO
from padim.data.mpdd import MPDD
from padim.data.mvtec import MVTec
from padim.data.samples import ImageDataset, Reader, Sample
from tests.data.files import write

TREES = {
    MPDD: """
        tubes/train/good/000.png tubes/train/good/001.png
        tubes/test/good/000.png tubes/test/anomalous/000.png
        tubes/ground_truth/anomalous/000_mask.png
        connector/train/good/000.png""",
    BTAD: """
        03/train/ok/0000.bmp 03/train/ok/0001.bmp
        03/test/ok/0002.bmp 03/test/ko/0000.bmp 03/test/ko/0001.bmp
        03/ground_truth/ko/0000.bmp 03/ground_truth/ko/0001.png
        01/train/ok/000.bmp""",
    LOCO: """
        pushpins/train/good/000.png pushpins/validation/good/000.png pushpins/test/good/000.png
        pushpins/test/logical_anomalies/000.png pushpins/test/logical_anomalies/001.png
        pushpins/test/structural_anomalies/000.png
        pushpins/ground_truth/logical_anomalies/000/000.png
        pushpins/ground_truth/logical_anomalies/001/000.png pushpins/ground_truth/logical_anomalies/001/001.png
        pushpins/ground_truth/structural_anomalies/000/000.png""",
}
CATEGORY = {MPDD: "tubes", BTAD: "03", LOCO: "pushpins"}
GOLDEN = {
    MPDD: """
        train good tubes/train/good/000.png
        train good tubes/train/good/001.png
        test anomalous tubes/test/anomalous/000.png tubes/ground_truth/anomalous/000_mask.png
        test good tubes/test/good/000.png""",
    BTAD: """
        train good 03/train/ok/0000.bmp
        train good 03/train/ok/0001.bmp
        test ko 03/test/ko/0000.bmp 03/ground_truth/ko/0000.bmp
        test ko 03/test/ko/0001.bmp 03/ground_truth/ko/0001.png
        test good 03/test/ok/0002.bmp""",
    LOCO: """
        train good pushpins/train/good/000.png
        test good pushpins/test/good/000.png
        test logical_anomalies pushpins/test/logical_anomalies/000.png
          (pushpins/ground_truth/logical_anomalies/000/000.png)
        test logical_anomalies pushpins/test/logical_anomalies/001.png
          (pushpins/ground_truth/logical_anomalies/001/000.png pushpins/ground_truth/logical_anomalies/001/001.png)
        test structural_anomalies pushpins/test/structural_anomalies/000.png
          (pushpins/ground_truth/structural_anomalies/000/000.png)""",
}


def plant(root: Path, make: type[MVTec]) -> Reader:
    """The tree of a data set, and its reader."""
    for name in TREES[make].split():
        write(root / name)
    return make(root, CATEGORY[make])


def listing(reader: Reader) -> list[str]:
    """The words of the golden listing."""
    return [
        word
        for split, samples in (("train", reader.train()), ("test", reader.test()))
        for sample in samples
        for word in (split, sample.kind, str(sample.path.relative_to(reader.root)), *_masks(sample, reader.root))
    ]


def _masks(sample: Sample, root: Path) -> list[str]:
    if isinstance(sample.mask, tuple):
        return f"({' '.join(str(path.relative_to(root)) for path in sample.mask)})".split()
    return [] if sample.mask is None else [str(sample.mask.relative_to(root))]


@pytest.mark.parametrize("make", TREES)
def test_listing(make: type[MVTec], tmp_path: Path) -> None:
    assert listing(plant(tmp_path, make)) == GOLDEN[make].split()


def test_the_masks_of_loco_are_united(tmp_path: Path) -> None:
    """Their values are 255 and less, one for each kind of defect."""
    reader, truth = plant(tmp_path, LOCO), tmp_path / "pushpins/ground_truth/logical_anomalies/001"
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :2], masks[1, :, :2] = 255, 241
    for number in range(2):
        write(truth / f"{number:03d}.png", masks[number])
    sample = next(s for s in reader.test() if "logical_anomalies/001" in str(s.path))
    batch = ImageDataset([sample], (8, 8), (8, 8), "bicubic")[0]
    np.testing.assert_array_equal(batch.mask, masks.any(0))


def test_validation_images_of_loco_are_fitted_on_request(tmp_path: Path) -> None:
    plant(tmp_path, LOCO)
    names = [str(s.path.relative_to(tmp_path)) for s in LOCO(tmp_path, "pushpins", validation=True).train()]
    assert names == ["pushpins/train/good/000.png", "pushpins/validation/good/000.png"]
    shutil.rmtree(tmp_path / "pushpins/validation")
    with pytest.raises(FileNotFoundError, match=r"no validation images .*; to do without, dataset.validation=false"):
        LOCO(tmp_path, "pushpins", validation=True).train()


@pytest.mark.parametrize("category", ["03", "3", 3])
def test_a_category_of_btad_that_yaml_reads_as_a_number(tmp_path: Path, category: str | int) -> None:
    plant(tmp_path, BTAD)
    assert len(BTAD(tmp_path, category).train()) == 2


def drop(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def add(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        write(root / name)

    return change


LOGICAL = "pushpins/ground_truth/logical_anomalies"
ERRORS = [
    (MPDD, drop("tubes"), "no category 'tubes' in .*; there is connector"),
    (MPDD, drop("tubes/train"), "no training images: .*tubes/train/good holds none of .bmp"),
    (MPDD, drop("tubes/ground_truth"), "anomalous/000.png has no mask; expected it at .*anomalous/000_mask.png"),
    (MPDD, drop("tubes/test/anomalous"), "the mask .*anomalous/000_mask.png has no image"),
    (MPDD, add("tubes/ground_truth/anomalous/000.png"), r"anomalous/000.png has no image; masks are named \*_mask.png"),
    (MPDD, add("tubes/ground_truth/good/000_mask.png"), "good/000_mask.png is the mask of a normal image; remove it"),
    (MPDD, add("tubes/train/good/000.jpg"), "two images of one name, .*good/000.jpg and .*good/000.png"),
    (MPDD, add("tubes/test/anomalous/000.jpg"), "two images of one name"),
    (BTAD, drop("03"), "no category '03' in .*; there is 01"),
    (BTAD, drop("03/ground_truth/ko/0001.png"), "ko/0001.bmp has no mask; expected it at .*ko/0001.png"),
    (BTAD, add("03/ground_truth/ko/0007.bmp"), "the mask .*ko/0007.bmp has no image"),
    (BTAD, add("03/ground_truth/ko/0000.png"), "two images of one name"),
    (BTAD, add("03/ground_truth/ok/0002.png"), "ok/0002.png is the mask of a normal image"),
    (LOCO, drop("pushpins"), "no category 'pushpins' in .*; there is none"),
    (LOCO, drop(f"{LOGICAL}/001"), "logical_anomalies/001.png has no mask; expected it at .*logical_anomalies/001"),
    (LOCO, drop(f"{LOGICAL}/000/000.png"), r"has no mask; expected them at .*logical_anomalies/000/\*.png"),
    (LOCO, drop("pushpins/test/logical_anomalies/000.png"), "the mask .*logical_anomalies/000 has no image"),
    (LOCO, add("pushpins/ground_truth/good/000/000.png"), "good/000/000.png is the mask of a normal image"),
    (LOCO, add("pushpins/test/good/000.bmp"), "two images of one name"),
    (MPDD, add("tubes/ground_truth/007_mask.png"), "ground_truth/007_mask.png is not read, since no image and no mask"),
    (MPDD, add("tubes/ground_truth/anomalous/deep/000_mask.png"), "anomalous/deep/000_mask.png is not read"),
    (MPDD, add("tubes/test/007.png"), "test/007.png is not read"),
    (MPDD, add("tubes/test/anomalous/deep/007.png"), "anomalous/deep/007.png is not read"),
    (LOCO, add(f"{LOGICAL}/007.png"), "logical_anomalies/007.png is not read"),
]


@pytest.mark.parametrize(("make", "change", "message"), ERRORS)
def test_what_is_wrong_is_named_and_the_layout_shown(
    make: type[MVTec], change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    reader = plant(tmp_path, make)
    change(tmp_path)
    with pytest.raises((FileNotFoundError, ValueError), match=f"{message}(?s:.)*\nexpected:\n    ROOT/"):
        listing(reader)


@pytest.mark.parametrize("make", TREES)
def test_no_such_root(make: type[MVTec], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.root=.*nowhere is no folder; (?s:.)*\nexpected:\n    ROOT/"):
        make(tmp_path / "nowhere", CATEGORY[make]).train()


def test_what_macos_and_others_leave_beside_images_is_no_image(tmp_path: Path) -> None:
    reader = plant(tmp_path, MPDD)
    (tmp_path / "tubes/train/good/._000.png").touch()
    write(tmp_path / "tubes/test/.ipynb_checkpoints/000.png")
    write(tmp_path / "tubes/test/good/.thumbnails/000.png")
    assert listing(reader) == GOLDEN[MPDD].split()
