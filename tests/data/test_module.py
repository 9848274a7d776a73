"""What is fitted, what is kept for thresholds, and what cannot be read."""

import csv
import json
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from padim.commands import ablate, train
from padim.data.folder import Folder
from padim.data.module import ImageDataModule, hold_out
from padim.data.samples import Sample
from tests.commands.test_run import run
from tests.data.files import write

FRACTIONS = [0, 0.01, 0.07, 0.1, 1 / 3, 0.5, 0.9]
SIZE = (64, 64)


def samples(count: int, root: str = "root") -> list[Sample]:
    return [Sample(Path(root) / "train" / f"{n:03d}.png") for n in range(count)]


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("count", [10, 30, 100])
def test_every_image_is_fitted_or_held_out(fraction: float, count: int) -> None:
    fitted, held_out = hold_out(samples(count), fraction, Path("root"))
    assert not set(fitted) & set(held_out)
    assert sorted(fitted + held_out, key=lambda s: s.path) == samples(count)
    assert len(held_out) == math.ceil(Fraction(str(fraction)) * count)


def test_the_place_of_the_root_and_the_order_do_not_matter() -> None:
    expected = {s.path.name for s in hold_out(samples(50), 0.2, Path("root"))[1]}
    for some, root in ((samples(50)[::-1], "root"), (samples(50, "/other/place"), "/other/place")):
        assert {s.path.name for s in hold_out(some, 0.2, Path(root))[1]} == expected


def test_a_larger_share_holds_the_smaller() -> None:
    shares = [set(hold_out(samples(40), fraction, Path("root"))[1]) for fraction in FRACTIONS]
    assert all(small <= large for small, large in pairwise(shares))


def test_one_more_image_moves_at_most_one_other() -> None:
    for count in range(5, 60):
        before, after = (set(hold_out(samples(n), 0.25, Path("root"))[1]) for n in (count, count + 1))
        assert len((before ^ after) - {samples(count + 1)[-1]}) <= 1


def test_what_is_held_out_is_what_it_was() -> None:
    """A model and its threshold are of one split: another hash would mix them."""
    assert [s.path.name for s in hold_out(samples(20), 0.2, Path("root"))[1]] == HELD_OUT


HELD_OUT = ["000.png", "008.png", "015.png", "019.png"]


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.1), (3, 0.9)])
def test_something_is_left_to_fit(count: int, fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"calibration_fraction={fraction} of {count} training images leaves none"):
        hold_out(samples(count), fraction, Path("root"))


def test_keys_that_make_no_sense() -> None:
    for fraction in (-0.1, 1, 1.5):
        with pytest.raises(ValueError, match=rf"calibration_fraction={fraction}; it must be at least 0 and below 1"):
            ImageDataModule(Folder("root"), SIZE, SIZE, calibration_fraction=fraction)
    with pytest.raises(ValueError, match="on_error=ignore; it must be raise or skip"):
        ImageDataModule(Folder("root"), SIZE, SIZE, on_error="ignore")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten training images, four test images."""
    folder = tmp_path / "images"
    for number in range(10):
        write(folder / f"train/{number}.png", seed=number)
    for number in range(2):
        write(folder / f"test_good/{number}.png", seed=20 + number)
        write(folder / f"test_bad/{number}.png", seed=30 + number)
    return folder


@pytest.fixture
def broken(root: Path) -> Path:
    """A text, half a file, and a link to nothing; two of them alone in a batch of two."""
    (root / "train/2.png").write_text("hello")
    whole = (root / "train/3.png").read_bytes()
    (root / "train/3.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/5.png").unlink()
    (root / "train/5.png").symlink_to("nowhere.png")
    (root / "test_bad/1.png").write_text("hello")
    return root


TINY = ["dataset=folder", "dataset.resize=[64,64]", "dataset.image_size=[64,64]", "data.batch_size=2"]


def test_the_fit_does_not_see_what_is_held_out(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ImageDataModule(Folder(root), SIZE, SIZE, batch_size=3, calibration_fraction=0.25)
    data.setup("fit")
    assert (len(data.train_set), len(data.calibration_set)) == (7, 3)
    assert sum(len(batch.label) for batch in data.calibration_dataloader()) == 3
    overrides = [*TINY, f"dataset.root={root}", f"output_dir={tmp_path}", "dataset.calibration_fraction=0.25"]
    run(monkeypatch, train.main, *overrides, "reduction.dim=20")
    assert json.loads((tmp_path / "metrics.json").read_text())["train_images"] == 7


@pytest.mark.parametrize("num_workers", [None, 0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_what_can_be_read_is_read_and_the_rest_is_listed(
    broken: Path, num_workers: int | None, batch_size: int
) -> None:
    data = ImageDataModule(Folder(broken), SIZE, SIZE, "bicubic", batch_size, num_workers, on_error="skip")
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert torch.cat([batch.sample for batch in batches]).tolist() == [0, 1, 4, 6, 7, 8, 9]
    assert sorted(path.name for path in data.skipped) == ["2.png", "3.png", "5.png"]
    assert {skipped.split for skipped in data.skipped.values()} == {"train"}
    assert all(str(path) in skipped.reason for path, skipped in data.skipped.items())
    assert sum(len(batch.label) for batch in data.test_dataloader()) == 3
    assert data.skipped[broken / "test_bad/1.png"].split == "test"


def test_nothing_is_skipped_unless_asked(broken: Path) -> None:
    data = ImageDataModule(Folder(broken), SIZE, SIZE)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"cannot read the image .*train/2.png"):
        list(data.train_dataloader())


def test_a_mask_that_cannot_be_read_is_never_skipped(root: Path) -> None:
    """It would take an image out of the test that the model may find hard."""
    (root / "masks").mkdir()
    (root / "masks/1.png").write_text("hello")
    for break_it in (lambda path: path.write_text("hello"), Path.unlink):
        data = ImageDataModule(Folder(root), SIZE, SIZE, on_error="skip")
        data.setup("test")
        break_it(root / "masks/1.png")
        with pytest.raises((ValueError, FileNotFoundError), match=r"masks/1.png"):
            list(data.test_dataloader())


@pytest.mark.parametrize("options", [["calibration=leave_one_out"], ["dataset.calibration_fraction=0.5"]])
def test_a_threshold_of_what_can_be_read(
    options: list[str], broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning makes the loader anew for a prediction, and gave it what it has already."""
    overrides = [*TINY, f"dataset.root={broken}", "dataset.on_error=skip", f"output_dir={tmp_path}"]
    run(monkeypatch, train.main, *overrides, "reduction.dim=20", "calibration.alpha=0.5", *options)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    held_out = 0 if "leave" in options[0] else 7 - metrics["train_images"]
    assert metrics["calibration_images"] == (held_out or 7)
    assert metrics["skipped_images"] == 4


@pytest.mark.slow
def test_a_run_goes_on_and_tells(
    broken: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    overrides = [*TINY, f"dataset.root={broken}", "dataset.on_error=skip"]
    run(monkeypatch, train.main, *overrides, "reduction.dim=20", f"output_dir={tmp_path / 'run'}")
    run(monkeypatch, ablate.main, *overrides, "+heads.a={layers: l1}", f"output_dir={tmp_path / 'heads'}")
    for folder in (tmp_path / "run", tmp_path / "heads"):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert (metrics["train_images"], metrics["test_images"], metrics["skipped_images"]) == (7, 3, 4)
        with (folder / "skipped.csv").open() as file:
            listed = [(Path(row["path"]).relative_to(broken).as_posix(), row["split"]) for row in csv.DictReader(file)]
        assert listed == [
            ("test_bad/1.png", "test"),
            ("train/2.png", "train"),
            ("train/3.png", "train"),
            ("train/5.png", "train"),
        ]
    printed = capsys.readouterr().out
    assert "4 images that cannot be read, listed in skipped.csv" in printed
    with (tmp_path / "heads" / "heads.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["pixel_auroc"] == row["pro"] == ""
    assert 0 <= float(row["image_auroc"]) <= 1
