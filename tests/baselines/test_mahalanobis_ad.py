"""MahalanobisAD against scikit-learn, in several processes, and as a user runs it."""

import shlex
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.covariance import LedoitWolf
from torch import Tensor

from padim.backbone import Backbone
from padim.baselines.dn2 import pooled
from padim.baselines.mahalanobis_ad import MahalanobisAD, ShrunkGaussian
from padim.commands import CONF, evaluate
from padim.export.comparison import drawn_images
from padim.gaussian import NotPositiveDefiniteError
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run

SIZE = (64, 64)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone("resnet18", [1, 2, 4], SIZE)


@pytest.mark.parametrize("split", [1, 4, 9])
def test_scores_are_sums_of_mahalanobis_distances(backbone: Backbone, split: int) -> None:
    """However the images are split into batches."""
    images, others = drawn_images(9, SIZE, seed=0), drawn_images(4, SIZE, seed=1)
    model = MahalanobisAD(backbone)
    for batch in images.split(split):
        model.update(batch)
    model.finalise()
    expected = torch.zeros(4, dtype=torch.float64)
    for ours, theirs in zip(model.features(images), model.features(others), strict=True):
        fitted = LedoitWolf().fit(pooled([ours]).double().numpy())
        expected += torch.from_numpy(fitted.mahalanobis(pooled([theirs]).double().numpy())).sqrt()  # it squares
    prediction = model(others)
    torch.testing.assert_close(prediction.score.double(), expected, rtol=1e-4, atol=0)
    assert torch.equal(prediction.anomaly_map, prediction.score[:, None, None].expand(4, *SIZE))


def test_distances_keep_the_digits_of_float64() -> None:
    vectors = torch.randn(20, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 100
    gaussian = ShrunkGaussian(30)
    for batch in vectors[:15].split(4):
        gaussian.update(batch)
    gaussian.finalise()
    squared = LedoitWolf().fit(vectors[:15].numpy()).mahalanobis(vectors[15:].numpy())
    torch.testing.assert_close(gaussian(vectors[15:]).square(), torch.from_numpy(squared), rtol=1e-9, atol=0)


def test_units_of_the_features_do_not_count() -> None:
    """The same distances of vectors in any rotation and any unit that all channels share."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(12, 5, generator=generator, dtype=torch.float64).exp()
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64)).Q
    gaussians = ShrunkGaussian(5), ShrunkGaussian(5)
    moved = 7 * vectors @ rotation + 3
    for gaussian, own in zip(gaussians, (vectors, moved), strict=True):
        gaussian.update(own[:8])
        gaussian.finalise()
    torch.testing.assert_close(gaussians[1](moved), gaussians[0](vectors), rtol=1e-9, atol=0)


def _shares() -> list[Tensor]:
    vectors = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    return [vectors[:2], vectors[:0], vectors[2:]]


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(f"{folder}/store", 3)
    half_a_minute = timedelta(seconds=30)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=3, timeout=half_a_minute)
    gaussian = ShrunkGaussian(4)
    for vector in _shares()[rank]:
        gaussian.update(vector[None])
    gaussian.merge_ranks()
    gaussian.finalise()
    torch.save(gaussian.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # as in test_metrics
def test_three_processes_are_one(tmp_path: Path) -> None:
    """One of them without an image."""
    torch.multiprocessing.start_processes(_rank, (str(tmp_path),), nprocs=3, start_method="fork")
    alone = ShrunkGaussian(4)
    alone.update(torch.cat(_shares()))
    alone.finalise()
    for rank in range(3):
        state = torch.load(tmp_path / f"{rank}.pt")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("images", [0, 1])
def test_too_few_images_are_refused(images: int) -> None:
    gaussian = ShrunkGaussian(3)
    if images:
        gaussian.update(torch.ones(images, 3))
    with pytest.raises(ValueError, match=f"a covariance needs at least 2 images, found {images}"):
        gaussian.finalise()


@pytest.mark.parametrize("vectors", [torch.ones(5, 3), torch.eye(3)[:2]], ids=["all alike", "two"])
def test_images_without_a_spread_are_refused(vectors: Tensor) -> None:
    """Two images lie on a line, which Ledoit & Wolf take for certain."""
    gaussian = ShrunkGaussian(3)
    gaussian.update(vectors)
    with pytest.raises(NotPositiveDefiniteError, match=f"of {len(vectors)} images is not positive definite"):
        gaussian.finalise()


def test_features_that_are_no_numbers_are_refused() -> None:
    model = MahalanobisAD(Backbone("resnet18", [1], SIZE, weights=None))
    with pytest.raises(ValueError, match="the features of 2 of 2 images of the batch are NaN or infinite"):
        model.update(drawn_images(2, SIZE))


def test_the_authors_levels_are_those_of_the_configuration() -> None:
    """The stem, the seven stages and the head of EfficientNet-B4."""
    lines = (Path(CONF) / "method" / "mahalanobis_ad.yaml").read_text().splitlines()
    command = shlex.split(" ".join(line.removeprefix("#") for line in lines if line.startswith("#   ")))
    assert command[0] == "padim-train"
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [*command[1:], "backbone.weights=null"])
    network = instantiate(config.model).model.backbone
    assert network.channels == [48, 24, 32, 56, 112, 160, 272, 448, 1792]
    assert network.grids[0] == (190, 190)


@pytest.mark.slow
def test_a_run_beats_chance(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.2 in image AUROC, with random weights; and so does its checkpoint, with the same scores."""
    metrics = trained("mahalanobis_ad", board, tmp_path, monkeypatch)
    assert metrics["image_auroc"] > 0.7
    assert "pixel_auroc" not in metrics
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}")
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")
