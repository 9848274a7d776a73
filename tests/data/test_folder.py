"""Images of one's own: what is found in which layout, what is wrong with it, and the commands on it."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.commands import evaluate, train
from padim.data.folder import SUFFIXES, Folder
from padim.data.samples import Sample
from padim.data.walk import require_path
from tests.commands.test_run import run
from tests.data.files import write

TREE = [
    "train/000.png",
    "train/monday/000.png",
    "test_good/100.png",
    "test_bad/200.png",
    "test_bad/scratch/200.png",
    "test_bad/scratch/201.png",
    "masks/200.png",
    "masks/scratch/200_mask.png",
    "masks/scratch/201.png",
]
SMALL = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=20"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(TREE):
        write(tmp_path / name, np.eye(8, dtype=np.uint8) if "masks" in name else None, seed=number)
    return tmp_path


def test_a_flat_folder_is_normal(tmp_path: Path) -> None:
    expected = [Sample(write(tmp_path / name)) for name in ("a.jpg", "b.PNG", "deep/er/c.webp")]
    write(tmp_path / ".thumbnails" / "a.png")
    (tmp_path / "notes.txt").touch()
    assert Folder(tmp_path).train() == expected
    assert Folder(tmp_path).test() == []


def test_folders_for_training_and_testing(root: Path) -> None:
    reader = Folder(root)
    assert reader.train() == [Sample(root / "train/000.png"), Sample(root / "train/monday/000.png")]
    assert reader.test() == [
        Sample(root / "test_good/100.png"),
        Sample(root / "test_bad/200.png", "bad", root / "masks/200.png"),
        Sample(root / "test_bad/scratch/200.png", "scratch", root / "masks/scratch/200_mask.png"),
        Sample(root / "test_bad/scratch/201.png", "scratch", root / "masks/scratch/201.png"),
    ]


def test_other_names(root: Path) -> None:
    expected = [sample.kind for sample in Folder(root).test()]
    for old, new in (("train", "ok"), ("test_bad", "nok")):
        (root / old).rename(root / new)
    reader = Folder(root, train="ok", test_bad="nok")
    assert len(reader.train()) == 2
    assert [sample.kind for sample in reader.test()] == expected


def test_a_mask_that_is_missing_is_unknown(root: Path) -> None:
    (root / "masks/200.png").unlink()
    assert [sample.mask_known for sample in Folder(root).test()] == [True, False, True, True]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".jp2"}))  # which some builds of Pillow cannot write
def test_every_format_can_be_read(suffix: str, tmp_path: Path) -> None:
    from padim.data.samples import read_rgb

    grey = suffix == ".pgm"
    path = write(tmp_path / f"image{suffix}", np.full((9, 7) if grey else (9, 7, 3), 99, np.uint8))
    (sample,) = Folder(tmp_path).train()
    assert sample.path == path
    assert np.abs(np.asarray(read_rgb(path)).astype(int) - 99).max() <= 3


WRONG = {
    "a mask without its image": (["masks/scratch/999.png"], r"masks/scratch/999.png has no image; expected it at "),
    "a mask of a normal image": (["masks/100.png"], r"masks/100.png is that of a normal image, .*test_good/100.png"),
    "a mask of a training image": (["masks/monday/000.png"], r"is that of a normal image, .*train/monday/000.png"),
    "one stem twice": (["test_bad/200.jpg"], r"test_bad/200.jpg and .*test_bad/200.png have one stem, 200"),
    "two masks": (["masks/200_mask.png"], r"masks/200.png and .*masks/200_mask.png have one stem"),
    "called good": (["test_bad/good/1.png"], r"test_bad/good/1.png lies in .* and is called good"),
    "MVTec AD": (["test/good/1.png"], r"test is not read; is .* one category of dataset=mvtec"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_layout(case: str, root: Path) -> None:
    """The message ends with the tree that was expected."""
    names, message = WRONG[case]
    for name in names:
        write(root / name)
    with pytest.raises(ValueError, match=rf"(?s){message}.*ROOT/\n    train/"):
        Folder(root).test()


def test_folders_that_are_missing_or_empty(root: Path, tmp_path: Path) -> None:
    (root / "empty").mkdir()
    for reader, message in [
        (Folder(root / "nowhere"), r"dataset.root=.*nowhere is no folder"),
        (Folder(root / "empty"), r"no images in .*empty; it is empty"),
        (Folder(root, train="trian"), r"dataset.train: .*trian is no folder"),
        (Folder(root, test_bad="nok"), r"dataset.test_bad: .*nok is no folder"),
        (Folder(root, test_bad="empty"), r"no images in .*empty; it is empty"),
    ]:
        with pytest.raises(FileNotFoundError, match=message):
            (reader.train(), reader.test())
    (root / "train").rename(root / "trian")
    with pytest.raises(FileNotFoundError, match=r"there is .*test_good, but no .*train to fit on"):
        Folder(root).train()


@pytest.mark.parametrize(
    ("chosen", "one", "other"),
    [
        ({"train": "imgs", "test_bad": "imgs/ng"}, "train", "test_bad"),
        ({"train": ".", "test_bad": "imgs/ng"}, "train", "test_bad"),
        ({"train": "."}, "train", "masks"),  # of its usual name
        ({"train": "imgs", "test_good": "elsewhere/../imgs"}, "train", "test_good"),
        ({"train": "imgs", "test_bad": "link/ng"}, "train", "test_bad"),
        ({"train": "ok", "test_good": "imgs/ng", "test_bad": "imgs"}, "test_good", "test_bad"),
        ({"train": "ok", "test_bad": "imgs", "masks": "imgs/ng"}, "test_bad", "masks"),
    ],
)
def test_no_file_is_read_as_two_things(chosen: dict[str, str], one: str, other: str, tmp_path: Path) -> None:
    """With train=imgs and test_bad=imgs/ng the anomalous images were fitted; with train=. none was tested."""
    for name in ("imgs/0.png", "imgs/ng/1.png", "ok/2.png", "masks/ng/1.png"):
        write(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("imgs")
    reader = Folder(tmp_path, **chosen)
    message = rf"(?s)dataset\.{one}, .* and dataset\.{other}, .*choose folders that lie apart\nexpected:"
    for read in (reader.train, reader.test):
        with pytest.raises(ValueError, match=message):
            read()


def test_folders_that_lie_apart_may_be_anywhere(tmp_path: Path) -> None:
    for name in ("all/train/0.png", "all/test/ok/1.png", "all/test/ng/2.png"):
        write(tmp_path / name)
    reader = Folder(tmp_path / "all", test_good="test/ok", test_bad="test/ng")
    assert [sample.path.name for sample in reader.train()] == ["0.png"]
    assert [(sample.path.name, sample.kind) for sample in reader.test()] == [("1.png", "good"), ("2.png", "bad")]
    outside = Folder(tmp_path / "all/train", train=".", test_bad=str(tmp_path / "all/test/ng"))
    assert [sample.path.name for sample in (*outside.train(), *outside.test())] == ["0.png", "2.png"]


NUMBERS = """
from padim.data.folder import Folder

for key in ("root", "train", "test_good", "test_bad", "masks", "manifest"):
    try:
        Folder(**{"root": ".", key: 2024_01_15})
    except TypeError as error:
        print(error)
"""


def test_names_that_hydra_reads_as_numbers_are_refused() -> None:
    """dataset.root=2024_01_15 arrives as 20240115; it was a TypeError of pathlib, which named no key.

    In a process of its own, since the tests check the types of all arguments, and users' runs do not.
    """
    result = subprocess.run([sys.executable, "-c", NUMBERS], capture_output=True, text=True, check=True)
    for key in ("root", "train", "test_good", "test_bad", "masks", "manifest"):
        assert f"dataset.{key}=20240115 is no path, but of type int" in result.stdout
        assert f"write ./ before such a name: dataset.{key}=./2024_01_15\n" in result.stdout


@pytest.mark.parametrize("given", ["2024_01_15", "-", "", Path("1e3")])
def test_names_of_digits_that_are_texts_are_taken_as_they_are(given: str | Path) -> None:
    assert require_path("input", given) == str(given)


def test_one_command_on_a_flat_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    """JPEGs of mixed sizes and nothing else."""
    for number, size in enumerate([(90, 120), (120, 90), (33, 64)]):
        write(tmp_path / f"{number}.jpg", size=size, seed=number)
    out = tmp_path / "out"
    run(monkeypatch, train.main, "dataset=folder", f"dataset.root={tmp_path}", f"output_dir={out}")
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["test_images"]) == (3, 0)
    assert not {"image_auroc", "pixel_auroc", "pro"} & set(metrics)
    assert "not measured: image_auroc, pixel_auroc, pro (no test images)" in capsys.readouterr().out
    assert (out / "padim.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("keep_aspect", [False, True])
def test_folders_with_masks_and_without(
    keep_aspect: bool,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,  # type: ignore[no-untyped-def]
) -> None:
    data = ["dataset=folder", f"dataset.root={root}", *SMALL, f"dataset.keep_aspect={str(keep_aspect).lower()}"]
    run(monkeypatch, train.main, *data, f"output_dir={tmp_path / 'known'}")
    known = json.loads((tmp_path / "known" / "metrics.json").read_text())
    assert all(0 <= known[name] <= 1 for name in ("image_auroc", "pixel_auroc", "pro"))

    (root / "masks/200.png").unlink()
    checkpoint = f"checkpoint={tmp_path / 'known' / 'padim.ckpt'}"
    run(monkeypatch, evaluate.main, checkpoint, f"output_dir={tmp_path / 'unknown'}")
    unknown = json.loads((tmp_path / "unknown" / "metrics.json").read_text())
    assert unknown["image_auroc"] == known["image_auroc"]
    assert not {"pixel_auroc", "pro", "pixel_auroc_error_bound"} & set(unknown)
    assert "(the anomalous pixels of 1 of 3 anomalous test images are unknown)" in capsys.readouterr().out
    with (tmp_path / "unknown" / "curves.csv").open() as file:
        assert {row["curve"] for row in csv.DictReader(file)} == {"image_roc"}
    ours, theirs = ((tmp_path / name / "predictions.csv").read_bytes() for name in ("unknown", "known"))
    assert ours == theirs
    with Image.open(tmp_path / "unknown" / "extremes.png") as picture:
        assert picture.height > 400
    assert not re.search("nan", (tmp_path / "unknown" / "curves.csv").read_text())
