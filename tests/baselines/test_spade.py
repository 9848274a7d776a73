"""SPADE against plain loops in float64, and as a user runs it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from padim.backbone import Backbone
from padim.baselines.spade import SPADE, SPADEModule
from padim.checkpoint import load_method
from padim.commands import evaluate
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run
from tests.reference import replicate

SIZE = (32, 32)
SIGMA = 2.0


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """Grids of 8, 4, 2 and 1."""
    return Backbone("resnet18", [1, 2, 3, 4], SIZE)


def fitted(backbone: Backbone, images: Tensor, neighbours: int, split: int = 4) -> SPADE:
    model = SPADE(backbone, [0, 1, 2], 3, neighbours, SIGMA)
    for batch in images.split(split):
        model.update(batch)
    model.finalise()
    return model


def by_hand(known: list[Tensor], queries: list[Tensor], neighbours: int) -> tuple[float, Tensor]:
    """The score of one image and the distances of its pixels, from feature maps in float64.

    Args:
        known: feature maps of the training images, (N, C_m, h_m, w_m).
        queries: of the image, (1, C_m, h_m, w_m).
    """
    whole = [
        (float((image.mean((1, 2)) - queries[3][0].mean((1, 2))).square().sum()), number)
        for number, image in enumerate(known[3])
    ]
    nearest = sorted(whole)[:neighbours]
    finest = queries[0].shape[2:]
    ours, theirs = ([replicate(feature, finest) for feature in features[:3]] for features in (queries, known))
    distances = torch.full(finest, torch.inf, dtype=torch.float64)
    for row in range(finest[0]):
        for column in range(finest[1]):
            for _, number in nearest:
                total = torch.zeros(finest, dtype=torch.float64)
                for mine, its in zip(ours, theirs, strict=True):
                    total += (its[number] - mine[0, :, row, column, None, None]).square().sum(0)
                distances[row, column] = min(distances[row, column], total.min())
    return sum(distance for distance, _ in nearest) / len(nearest), distances


@pytest.mark.parametrize("neighbours", [1, 3, 50])
@pytest.mark.parametrize("split", [1, 4, 7])
def test_it_is_what_plain_loops_give(backbone: Backbone, neighbours: int, split: int) -> None:
    """However the images are split into batches, and where there are fewer than K."""
    images, others = drawn_images(7, SIZE, seed=0), drawn_images(2, SIZE, seed=1)
    model = fitted(backbone, images, neighbours, split)
    known, queries = ([feature.double() for feature in model.features(some)] for some in (images, others))
    prediction = model(others)
    for image in range(len(others)):
        score, distances = by_hand(known, [feature[image : image + 1] for feature in queries], neighbours)
        assert float(prediction.score[image]) == pytest.approx(score, rel=1e-4)
        found = torch.stack([level[image] for level in prediction.level_distances]).sum(0)
        torch.testing.assert_close(found.double(), distances, rtol=1e-4, atol=1e-6)
        upsampled = functional.interpolate(distances[None, None], SIZE, mode="bicubic")[0, 0].numpy()
        expected = gaussian_filter(upsampled, SIGMA)
        np.testing.assert_allclose(prediction.anomaly_map[image].numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_training_image_is_not_anomalous(backbone: Backbone, mixed: bool) -> None:
    """It is its own nearest; so it is in mixed precision, whose products of bfloat16 would find another."""
    images = drawn_images(6, SIZE)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        prediction = fitted(backbone, images, 1, split=6)(images)
    assert not prediction.score.any()
    assert not prediction.anomaly_map.any()


def test_levels_add_up_to_the_anomaly_map(tmp_path: Path) -> None:
    """Of grids that differ or not, with the names of what they are."""
    module = SPADEModule({"name": "resnet18"}, {"stages": [1, 2, 3]}, list(SIZE), 3, 2, {"sigma": SIGMA})
    module.model.update(drawn_images(3, SIZE, seed=0))
    module.model.finalise()
    prediction = module(drawn_images(2, SIZE, seed=1))
    maps = module.level_maps(prediction)
    assert module.levels == ("layer3", "layer2", "layer1")
    assert maps.shape == (2, 3, *SIZE)
    torch.testing.assert_close(maps.sum(1), prediction.anomaly_map, rtol=1e-4, atol=1e-5)


def test_an_unfitted_model_says_so(backbone: Backbone) -> None:
    with pytest.raises(RuntimeError, match="the model is not fitted: it has no image to compare with"):
        SPADE(backbone, [0, 1, 2], 3, 50)(drawn_images(1, SIZE))


def test_a_count_that_is_none_is_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"model.neighbours=0; it must be 1 or more, 50 for instance"):
        SPADE(backbone, [0, 1, 2], 3, 0)


def test_features_that_are_no_numbers_are_refused() -> None:
    """And nothing is kept of them."""
    model = SPADE(Backbone("resnet18", [1, 2], SIZE, weights=None), [0], 1, 1)
    with pytest.raises(ValueError, match="the features of 2 of 2 images of the batch are NaN or infinite"):
        model.update(drawn_images(2, SIZE))
    model.finalise()
    assert not len(model.images.rows)


@pytest.mark.slow
def test_a_run_beats_chance(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.2 in pixel AUROC, with random weights; and so does its checkpoint, with the same scores.

    Of these images no first stage with random weights tells which are anomalous: see test_dn2.py.
    """
    metrics = trained("spade", board, tmp_path, monkeypatch)
    assert metrics["pixel_auroc"] > 0.7
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}")
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")
    loaded = load_method(tmp_path / "padim.ckpt")
    assert isinstance(loaded, SPADEModule)
    assert loaded.fitted == len(loaded.model.images.rows) > 0


@pytest.mark.slow
def test_real_images(mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ResNet18 and the third stage in place of the fourth; the authors have a pixel AUROC of 0.984."""
    real = ["dataset=mvtec", f"backbone.weights={weights}", "model.image_stage=3", "data.batch_size=32"]
    full = ["dataset.resize=[256,256]", "dataset.image_size=[224,224]"]
    metrics = trained("spade", mvtec, tmp_path, monkeypatch, *real, *full)
    assert metrics["image_auroc"] > 0.9
    assert metrics["pixel_auroc"] > 0.95
