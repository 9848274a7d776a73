"""Rd-MVTec AD: images turned and cropped at random, in the same way in every run, masks with them."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from scipy import ndimage, stats
from torch.utils.data import DataLoader, Subset

from padim.commands import CONF
from padim.data.module import ImageDataModule
from padim.data.rd_mvtec import RdMVTec
from padim.data.samples import Batch, ImageDataset, Pose, Sample, read_rgb

HEIGHT, WIDTH = 72, 96
VERSIONS = range(5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise; black with a white rectangle where an image is anomalous."""
    folder = tmp_path_factory.mktemp("mvtec")
    names = [f"train/good/{n:03d}" for n in range(6)] + ["test/good/000"] + [f"test/hole/{n:03d}" for n in range(5)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
        if "hole" in name:
            hole = np.zeros((HEIGHT, WIDTH), np.uint8)
            hole[20:50, 25:60] = 255
            pixels = np.stack([hole] * 3, -1)
            save(hole, folder / f"bottle/ground_truth/hole/{name[-3:]}_mask.png")
        save(pixels, folder / f"bottle/{name}.png")
    return folder


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def module(root: Path, version: int = 0, seed: int = 0, num_workers: int = 0) -> ImageDataModule:
    reader = RdMVTec(root, "bottle", seed, version)
    data = ImageDataModule(reader, (HEIGHT, WIDTH), (HEIGHT - 8, WIDTH - 8), batch_size=4, num_workers=num_workers)
    data.setup("fit")
    return data


def batches(loader: DataLoader[Batch]) -> dict[int, torch.Tensor]:
    return {int(n): image for batch in loader for n, image in zip(batch.sample, batch.image, strict=True)}


def posed(path: Path, pose: Pose | None, size: tuple[int, int], mask: Path | None = None) -> Batch:
    """The image at its own size, turned, and cropped to ``size``."""
    width, height = read_rgb(path).size
    return ImageDataset([Sample(path, "hole" if mask else "good", mask, pose)], (height, width), size, "bicubic")[0]


def same(ours: dict[int, torch.Tensor], theirs: dict[int, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_marker_stays_under_its_mask(root: Path, version: int) -> None:
    """To the pixel, but for the marker's corners: an image is blended there, a mask is not."""
    for batch in module(root, version).test_set:
        marker = batch.image[0] >= 128
        assert batch.mask.dtype == torch.bool
        assert batch.mask.any() == bool(batch.label)
        apart = marker != batch.mask
        assert apart.sum() <= 4
        inner, outer = ndimage.binary_erosion(batch.mask), ndimage.binary_dilation(batch.mask)
        assert not (apart.numpy() & (inner | ~outer)).any()


@pytest.mark.parametrize("angle", [-10, -3.3, 0, 5, 10])
def test_an_image_is_turned_about_its_centre_and_reflected_at_its_border(tmp_path: Path, angle: float) -> None:
    """As scipy does it, whose ``reflect`` repeats the edge."""
    pixels = ndimage.gaussian_filter(np.random.default_rng(0).uniform(0, 255, (40, 60, 3)), (2, 2, 0)).round()
    path = save(pixels.astype(np.uint8), tmp_path / "image.png")
    turned = posed(path, Pose(angle, 0, 0), (40, 60)).image.permute(1, 2, 0).numpy()
    sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    back, centre = np.array([[cos, sin], [-sin, cos]]), np.array([19.5, 29.5])  # y points down
    for channel in range(3):
        expected = ndimage.affine_transform(
            pixels[..., channel], back, centre - back @ centre, order=1, mode="reflect", output=float
        )
        assert np.abs(turned[..., channel] - expected).max() <= 1


def test_a_mask_comes_in_empty(tmp_path: Path) -> None:
    """Where an image is reflected, its mask is not."""
    white = save(np.full((40, 60), 255, np.uint8), tmp_path / "white.png")
    batch = posed(white, Pose(10, 0, 0), (40, 60), mask=white)
    assert (batch.image == 255).all()
    assert not batch.mask[0, 0]
    assert not batch.mask[-1, -1]
    assert batch.mask[20, 30]


def test_every_place_of_the_crop_is_as_likely(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:40, :60].astype(np.uint8)
    path = save(np.stack([rows, columns, 0 * rows], -1), tmp_path / "image.png")
    for size in ((32, 50), (40, 60)):
        down, right = 40 - size[0] + 1, 60 - size[1] + 1
        corners = [
            tuple(posed(path, Pose(0, (i + u) / down, (j + u) / right), size).image[:2, 0, 0].tolist())
            for i in range(down)
            for j in range(right)
            for u in (0.01, 0.99)
        ]
        assert corners == [(i, j) for i in range(down) for j in range(right) for _ in range(2)]


def test_poses_are_uniform() -> None:
    reader = RdMVTec("root", "bottle")
    samples = [reader._posed(Sample(Path(f"root/bottle/train/good/{n:04d}.png"))) for n in range(4000)]
    poses = np.array([(sample.pose.angle, sample.pose.down, sample.pose.right) for sample in samples])
    unit = (poses - np.array([-10, 0, 0])) / [20, 1, 1]
    assert ((unit.min(0) >= 0) & (unit.min(0) < 0.002) & (unit.max(0) > 0.998) & (unit.max(0) < 1)).all()
    assert stats.kstest(unit, "uniform").pvalue.min() > 0.05
    assert np.abs(np.corrcoef(unit, rowvar=False) - np.eye(3)).max() < 0.05


def test_a_pose_is_what_it_was() -> None:
    """A version is a data set of its own: whoever draws it otherwise gives it another name."""
    sample = RdMVTec("root", "bottle", seed=1, version=2)._posed(Sample(Path("root/bottle/test/hole/000.png")))
    assert sample.pose == Pose(-3.2972428420760824, 0.4077514736142587, 0.7599476620254937)


def test_versions_and_seeds_differ(root: Path) -> None:
    drawn = [batches(module(root, version, seed).train_dataloader()) for seed in (0, 1) for version in VERSIONS]
    for one in range(len(drawn)):
        for other in range(one):
            assert not any(torch.equal(drawn[one][n], drawn[other][n]) for n in drawn[one])


def test_training_and_test_images_are_turned_each_in_its_own_way(root: Path) -> None:
    samples = module(root).train_set.samples + module(root).test_set.samples
    assert len({sample.pose for sample in samples} - {None}) == len(samples)


def test_an_image_depends_on_nothing_else(root: Path, tmp_path: Path) -> None:
    """Not on the order of loading, the workers, the global random state or the place of the root."""
    expected = batches(module(root, version=3).train_dataloader())
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    assert same(batches(module(root, version=3).train_dataloader()), expected)
    data = module(root, version=3).train_set
    assert same(batches(DataLoader(Subset(data, [4, 0, 5, 3, 1, 2]))), expected)
    (tmp_path / "elsewhere").symlink_to(root)
    assert same(batches(module(tmp_path / "elsewhere", version=3).train_dataloader()), expected)


def test_workers_change_nothing(root: Path) -> None:
    alone, shared = module(root), module(root, num_workers=2)
    assert same(batches(shared.test_dataloader()), batches(alone.test_dataloader()))


def test_without_a_pose_nothing_is_turned(root: Path) -> None:
    path = root / "bottle/train/good/000.png"
    cropped = np.asarray(read_rgb(path))[4:-4, 4:-4]
    np.testing.assert_array_equal(posed(path, None, (HEIGHT - 8, WIDTH - 8)).image.permute(1, 2, 0), cropped)


def test_from_the_command_line(root: Path) -> None:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", ["dataset=rd_mvtec", "dataset.version=4", "dataset.seed=7", f"dataset.root={root}"])
    reader = instantiate(config.data).reader
    assert (reader.version, reader.seed) == (4, 7)
    assert reader.train() == RdMVTec(root, "bottle", seed=7, version=4).train()


def test_versions_there_are_not() -> None:
    for version in (5, -1):
        with pytest.raises(ValueError, match=rf"dataset.version={version}: Rd-MVTec AD has the versions 0 to 4"):
            RdMVTec("root", "bottle", version=version)
    with pytest.raises(ValueError, match=r"dataset.seed=-1: it must be 0 or more"):
        RdMVTec("root", "bottle", seed=-1)
