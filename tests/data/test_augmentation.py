"""Views of training images: the same whoever draws them, and counted as images."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from padim.commands import evaluate, train
from padim.data.augmentation import Augmentation
from padim.data.folder import Folder
from padim.data.module import ImageDataModule
from padim.data.samples import ImageDataset, Pose, Sample
from tests.commands.test_run import run
from tests.data.files import write

SIZE, CROP = (32, 40), (25, 32)
LIGHT = {"repeats": 4, "angle": 3.0, "light": 0.1}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(5):
        write(tmp_path / f"train/{number}.png", size=(40, 40), seed=number)
    for number in range(2):
        write(tmp_path / f"test_good/{number}.png", size=(40, 40), seed=10 + number)
    return tmp_path


def images(root: Path, num_workers: int = 0, batch_size: int = 3, **augmentation: float) -> torch.Tensor:
    reader = Folder(root)
    data = ImageDataModule(reader, SIZE, CROP, "bicubic", batch_size, num_workers, augmentation=augmentation)
    data.setup("fit")
    return torch.cat([batch.image for batch in data.train_dataloader()])


def test_the_first_view_is_the_image_and_the_others_are_others(root: Path) -> None:
    plain, views = images(root), images(root, **LIGHT)
    assert len(views) == 4 * len(plain)
    assert torch.equal(views[: len(plain)], plain)
    assert len(torch.unique(views.flatten(1), dim=0)) == len(views)


def test_one_repeat_is_none(root: Path) -> None:
    assert torch.equal(images(root, repeats=1, angle=3.0, light=0.1), images(root))


def test_more_repeats_keep_the_fewer(root: Path) -> None:
    assert torch.equal(images(root, **LIGHT | {"repeats": 3}), images(root, **LIGHT)[: 3 * 5])


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_nothing_but_seed_path_and_repeat_matters(num_workers: int, root: Path, tmp_path: Path) -> None:
    expected = images(root, **LIGHT)
    random.seed(num_workers)
    np.random.seed(num_workers)
    torch.manual_seed(num_workers)
    (tmp_path / "elsewhere").symlink_to(root)
    assert torch.equal(images(tmp_path / "elsewhere", num_workers, 1 + num_workers, **LIGHT), expected)


def test_seeds_differ(root: Path) -> None:
    one, other = (images(root, seed=seed, **LIGHT)[5:] for seed in (0, 1))
    assert not any(map(torch.equal, one, other))


def test_what_is_drawn_is_uniform_and_within_its_bounds() -> None:
    samples = [Sample(Path(f"root/{n}.png")) for n in range(1000)]
    views = Augmentation(**LIGHT).views(samples, Path("root"))[1000:]
    drawn = np.array([((view.pose.angle + 3) / 6, (view.light - 0.9) / 0.2) for view in views])
    assert stats.kstest(drawn, "uniform").pvalue.min() > 0.01
    assert abs(np.corrcoef(drawn, rowvar=False)[0, 1]) < 0.05


def test_shifts_are_uniform_and_change_nothing_else() -> None:
    samples = [Sample(Path(f"root/{n}.png")) for n in range(1000)]
    plain, views = (Augmentation(**LIGHT, shift=shift).views(samples, Path("root"))[1000:] for shift in (0, 5))
    assert [(view.pose.angle, view.light) for view in views] == [(view.pose.angle, view.light) for view in plain]
    drawn = np.array([view.pose.shift for view in views])
    for axis in drawn.T:
        values, counts = np.unique(axis, return_counts=True)
        assert values.tolist() == list(range(-5, 6))
        assert stats.chisquare(counts).pvalue > 0.01
    assert abs(np.corrcoef(drawn, rowvar=False)[0, 1]) < 0.05


@pytest.mark.parametrize("shift", [(0, 0), (-5, 5), (5, -5), (3, -1)])
def test_a_shift_is_a_random_crop_and_then_one_from_the_centre(shift: tuple[int, int], tmp_path: Path) -> None:
    """As the VAE's 292 to 282 to 256, here 46 to 36 to 32. The mask goes along."""
    pixels = np.random.default_rng(0).integers(0, 256, (46, 46, 3), np.uint8)
    path = write(tmp_path / "image.png", pixels)
    mask = write(tmp_path / "mask.png", (pixels[..., 0] > 99).astype(np.uint8))
    sample = Sample(path, "hole", mask, Pose(0.0, shift=shift))
    batch = ImageDataset([sample], (46, 46), (32, 32), "bicubic")[0]
    cropped = pixels[5 + shift[0] :, 5 + shift[1] :][:36, :36][2:34, 2:34]
    np.testing.assert_array_equal(batch.image.permute(1, 2, 0), cropped)
    np.testing.assert_array_equal(batch.mask, cropped[..., 0] > 99)


def test_a_shift_ends_where_the_image_does(tmp_path: Path) -> None:
    """Of a data set that draws the place of the crop itself."""
    path = write(tmp_path / "image.png", size=(40, 40))
    poses = [Pose(0.0, 0.3, 0.7, (-4, 4)), Pose(0.0, 0.0, 0.99), Pose(0.0, 0.3, 0.7)]
    samples = [Sample(path, pose=pose) for pose in poses]
    moved, corner, place = (item.image for item in ImageDataset(samples, (40, 40), (35, 35), "bicubic"))
    assert torch.equal(moved, corner)
    assert not torch.equal(moved, place)


def test_a_shift_needs_room() -> None:
    augmentation = Augmentation(2, shift=5)
    augmentation.require_room((292, 266), (256, 256))
    with pytest.raises(ValueError, match=r"augmentation.shift=5; around the crop dataset.image_size=\[256, 256\]"):
        augmentation.require_room((292, 265), (256, 256))


def test_a_view_is_what_it_was() -> None:
    (_, view) = Augmentation(2, 3.0, 0.1).views([Sample(Path("root/a/b.png"))], Path("root"))
    assert (view.pose, view.light) == (Pose(ANGLE), LIT)


ANGLE, LIT = 0.8878779757945368, 0.9680701236994788


def test_a_pose_of_the_data_set_stays_and_is_turned_on(tmp_path: Path) -> None:
    sample = Sample(tmp_path / "a.png", pose=Pose(7.0, 0.2, 0.9))
    _, view = Augmentation(2, 3.0).views([sample], tmp_path)
    assert (view.pose.down, view.pose.right) == (0.2, 0.9)
    assert 0 < abs(view.pose.angle - 7) <= 3


@pytest.mark.parametrize("light", [0.5, 0.93, 1.0, 1.07, 3.0])
def test_light_is_a_factor_that_saturates(light: float, tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write(tmp_path / "image.png", pixels)
    batch = ImageDataset([Sample(path, light=light)], (16, 16), (16, 16), "bicubic")[0]
    np.testing.assert_array_equal(batch.image[1], np.minimum(np.round(pixels * light), 255))


@pytest.mark.parametrize("crop", [(32, 40), (25, 32), (24, 33)])
def test_a_turn_of_nothing_is_no_turn(crop: tuple[int, int], root: Path) -> None:
    """Also where the crop cannot lie exactly in the centre."""
    path = root / "train/0.png"
    upright, turned = (ImageDataset([Sample(path, pose=pose)], SIZE, crop, "bicubic")[0] for pose in (None, Pose(0.0)))
    assert all(map(torch.equal, upright[:6], turned[:6]))


@pytest.mark.slow
def test_they_count_as_images_in_the_fit_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["dataset=folder", f"dataset.root={root}", "dataset.resize=[64,64]", "dataset.image_size=[64,64]"]
    overrides += ["reduction.dim=20", "augmentation=light", "dataset.calibration_fraction=0.2"]
    run(monkeypatch, train.main, *overrides, f"output_dir={tmp_path / 'run'}")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert (metrics["train_images"], metrics["test_images"]) == (16, 2)
    checkpoint = f"checkpoint={tmp_path / 'run/padim.ckpt'}"
    run(monkeypatch, evaluate.main, checkpoint, f"output_dir={tmp_path / 'again'}")
    ours, theirs = ((tmp_path / name / "predictions.csv").read_bytes() for name in ("run", "again"))
    assert ours == theirs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repeats": 0}, "augmentation.repeats=0; it must be 1"),
        ({"angle": 181.0}, "augmentation.angle=181.0"),
        ({"light": 1.0}, "the light at least 0 and below 1"),
        ({"shift": -1}, "augmentation.shift=-1; it must be 0"),
        ({"seed": -1}, "augmentation.seed=-1; it must be 0 or more"),
    ],
)
def test_values_that_make_no_sense(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageDataModule(Folder("root"), SIZE, CROP, augmentation=values)
