"""The MVTec AD layout: what is found in it, and what is missing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.data.mvtec import MVTec
from padim.data.samples import Sample

FILES = [
    "bottle/train/good/000.png",
    "bottle/train/good/001.PNG",
    "bottle/train/good/Thumbs.db",
    "bottle/test/good/000.png",
    "bottle/test/crack/000.png",
    "bottle/test/crack/001.png",
    "bottle/ground_truth/crack/000_mask.png",
    "bottle/ground_truth/crack/001_mask.png",
    "cable/train/good/000.png",
    "license.txt",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
        else:
            path.touch()
    return tmp_path


def test_listing(root: Path) -> None:
    reader, folder = MVTec(root, "bottle"), root / "bottle"
    assert reader.train() == [Sample(folder / "train/good/000.png"), Sample(folder / "train/good/001.PNG")]
    assert reader.test() == [
        Sample(folder / "test/crack/000.png", "crack", folder / "ground_truth/crack/000_mask.png"),
        Sample(folder / "test/crack/001.png", "crack", folder / "ground_truth/crack/001_mask.png"),
        Sample(folder / "test/good/000.png"),
    ]
    assert [sample.label for sample in reader.test()] == [1, 1, 0]


def test_the_real_category(mvtec: Path) -> None:
    reader = MVTec(mvtec, "bottle")
    assert (len(reader.train()), len(reader.test())) == (209, 83)
    assert sum(sample.label for sample in reader.test()) == 63


def test_no_such_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.root=.*nowhere is no folder"):
        MVTec(tmp_path / "nowhere", "bottle").train()


def test_no_such_category_lists_those_there_are(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no category 'botle' in .*; there is bottle, cable"):
        MVTec(root, "botle").train()


def test_no_training_images(root: Path) -> None:
    for path in (root / "bottle/train/good").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no training images: .*train/good holds none of .bmp, .jpeg"):
        MVTec(root, "bottle").train()


def test_no_test_images(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no test images: .*cable/test"):
        MVTec(root, "cable").test()


def test_a_missing_mask(root: Path) -> None:
    (root / "bottle/ground_truth/crack/001_mask.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"crack/001.png has no mask; expected it at .*crack/001_mask.png"):
        MVTec(root, "bottle").test()
