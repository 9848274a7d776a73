"""DN2 against scikit-learn, and as a user runs it."""

from pathlib import Path

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from padim.backbone import Backbone
from padim.baselines.dn2 import DN2, pooled
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained

SIZE = (64, 64)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone("resnet18", [2, 4], SIZE)


@pytest.mark.parametrize("neighbours", [1, 2, 50])
@pytest.mark.parametrize("split", [1, 4, 9])
def test_scores_are_mean_squared_distances_to_the_nearest(backbone: Backbone, neighbours: int, split: int) -> None:
    """However the images are split into batches."""
    images, others = drawn_images(9, SIZE, seed=0), drawn_images(4, SIZE, seed=1)
    model = DN2(backbone, neighbours)
    for batch in images.split(split):
        model.update(batch)
    model.finalise()
    embeddings, queries = (pooled(model.features(some)).double().numpy() for some in (images, others))
    reference = NearestNeighbors(n_neighbors=min(neighbours, 9)).fit(embeddings)
    distances, _ = reference.kneighbors(queries)
    expected = torch.from_numpy((distances**2).mean(1))
    torch.testing.assert_close(model(others).score.double(), expected, rtol=1e-4, atol=0)
    assert model(others).anomaly_map.shape == (4, *SIZE)


def test_a_count_that_is_none_is_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"model.neighbours=0; it must be 1 or more"):
        DN2(backbone, 0)


def test_a_run_beats_chance(wood: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.1 in image AUROC, with random weights; places it does not tell, and says so."""
    metrics = trained("dn2", wood, tmp_path, monkeypatch, "dataset.category=wood", "layers=l2")
    assert metrics["image_auroc"] > 0.6
    assert "pixel_auroc" not in metrics


@pytest.mark.slow
def test_real_images_beat_chance_by_far(
    mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ImageNet's weights, as far as they go: up to the third stage."""
    real = ["dataset=mvtec", f"backbone.weights={weights}", "layers=l3", "data.batch_size=32"]
    metrics = trained("dn2", mvtec, tmp_path, monkeypatch, *real)
    assert metrics["image_auroc"] > 0.9
