"""PatchCore against plain loops in float64, and as a user runs it."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from padim.backbone import Backbone
from padim.baselines.coreset import Coreset
from padim.baselines.patchcore import PatchCore, locally_aware
from padim.commands import evaluate
from padim.export.comparison import drawn_images
from tests.baselines.runs import TINY, trained
from tests.commands.test_run import command, rows, run

SIZE = (64, 64)
ALL = Coreset(1.0)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone("resnet18", [2, 3], SIZE)


def fitted(backbone: Backbone, images: Tensor, coreset: Coreset, neighbours: int, split: int = 4) -> PatchCore:
    model = PatchCore(backbone, coreset, neighbours)
    for batch in images.split(split):
        model.update(batch)
    model.finalise()
    return model


def mean_of_window(feature: Tensor, row: int, column: int) -> Tensor:
    """Of 3x3 vectors of one feature map (C, h, w), 0 beyond the border."""
    total = torch.zeros(len(feature), dtype=torch.float64)
    for r, c in product(range(row - 1, row + 2), range(column - 1, column + 2)):
        if 0 <= r < feature.shape[1] and 0 <= c < feature.shape[2]:
            total += feature[:, r, c]
    return total / 9


def between(feature: Tensor, row: float, column: float) -> Tensor:
    """The means of the windows of a feature map, bilinear between its positions, constant beyond the outermost."""
    (top, r), (left, c) = (
        (int(place), place - int(place))
        for place in (max(0, min(x, n - 1)) for x, n in zip((row, column), feature.shape[1:], strict=True))
    )
    corners = {(0, 0): (1 - r) * (1 - c), (0, 1): (1 - r) * c, (1, 0): r * (1 - c), (1, 1): r * c}
    return sum(
        (share * mean_of_window(feature, top + i, left + j) for (i, j), share in corners.items() if share),
        torch.zeros(len(feature), dtype=torch.float64),
    )


def patches_by_hand(features: list[Tensor]) -> list[list[Tensor]]:
    """Of each image, row by row on the grid of the first feature map."""
    height, width = features[0].shape[2:]
    return [
        [
            torch.cat([between(f, *((x + 0.5) * f.shape[1] / height - 0.5 for x in (row, column))) for f in maps])
            for row, column in product(range(height), range(width))
        ]
        for maps in zip(*(feature.double() for feature in features), strict=True)
    ]


def score_by_hand(patches: list[Tensor], memory: list[Tensor], neighbours: int) -> tuple[list[float], float]:
    """Distances, and the score of equation 7."""
    nearest = [min((float((patch - m).norm()), j) for j, m in enumerate(memory)) for patch in patches]
    distance, star = max(nearest)
    farthest = patches[nearest.index((distance, star))]
    around = sorted(memory, key=lambda m: float((m - memory[star]).norm()))[:neighbours]
    weight = 1 - math.exp(distance) / sum(math.exp(float((farthest - m).norm())) for m in around)
    return [distance for distance, _ in nearest], weight * distance


@pytest.mark.parametrize("split", [1, 3, 7])
def test_it_is_what_plain_loops_give(backbone: Backbone, split: int) -> None:
    """However the images are split into batches."""
    coreset = Coreset(0.2, dim=20)
    images, others = drawn_images(7, SIZE, seed=0), drawn_images(3, SIZE, seed=1)
    model = fitted(backbone, images, coreset, 5, split)
    known = [patch for of_image in patches_by_hand(model.features(images)) for patch in of_image]
    memory = [known[i] for i in coreset.choose(torch.stack(known)).tolist()]
    torch.testing.assert_close(model.memory.rows.double(), torch.stack(memory), rtol=1e-4, atol=1e-4)
    prediction = model(others)
    for image, patches in enumerate(patches_by_hand(model.features(others))):
        distances, score = score_by_hand(patches, memory, 5)
        assert float(prediction.score[image]) == pytest.approx(score, rel=1e-4)
        grid = torch.tensor(distances, dtype=torch.float64).view(1, 1, 8, 8)
        upsampled = functional.interpolate(grid, SIZE, mode="bilinear")[0, 0].numpy()
        expected = gaussian_filter(upsampled, 4.0)
        np.testing.assert_allclose(prediction.anomaly_map[image].numpy(), expected, rtol=1e-4)


def test_the_weight_is_one_minus_a_share(backbone: Backbone) -> None:
    """m(x) is nearer to x than its neighbours are, so that its share is at most 1 / b; without neighbours it is 0."""
    images, others = drawn_images(4, SIZE, seed=0), drawn_images(6, SIZE, seed=1)
    plain = fitted(backbone, images, ALL, 1)(others)
    for neighbours in (2, 9, 64):
        weighed = fitted(backbone, images, ALL, neighbours)(others)
        assert torch.equal(weighed.anomaly_map, plain.anomaly_map)
        share = 1 - weighed.score / plain.score
        assert (share > 0).all()
        assert (share <= 1 / neighbours + 1e-6).all()


@pytest.mark.parametrize("mixed", [False, True])
def test_what_is_in_the_memory_is_not_anomalous(backbone: Backbone, mixed: bool) -> None:
    """Nor is it in mixed precision, whose products of bfloat16 would find that of another image, much the same."""
    images = drawn_images(1, SIZE) // 2 + drawn_images(3, SIZE, seed=1) // 64
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        prediction = fitted(backbone, images, ALL, 9, split=3)(images)
    assert prediction.score.abs().max() < 1e-3
    assert prediction.anomaly_map.abs().max() < 1e-3


def test_the_order_of_the_images_changes_nothing(backbone: Backbone) -> None:
    """Nor does it then, of several processes, which of them had an image."""
    images, others = drawn_images(6, SIZE, seed=0), drawn_images(2, SIZE, seed=1)
    scores = [fitted(backbone, some, Coreset(0.1), 9)(others).score for some in (images, images.flip(0))]
    torch.testing.assert_close(*scores, rtol=1e-4, atol=0)


def test_patches_lie_on_the_finest_grid(backbone: Backbone) -> None:
    """Whichever map that is."""
    fine, coarse = torch.randn(2, 3, 8, 6), torch.randn(2, 5, 4, 3)
    assert locally_aware([fine, coarse]).shape == (2, 48, 8)
    assert torch.equal(locally_aware([coarse, fine])[..., 5:], locally_aware([fine, coarse])[..., :3])


def test_neighbours_that_are_none_are_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"model\.neighbours=0; it must be 1 \(no weight\) or more"):
        PatchCore(backbone, ALL, 0)


def test_a_coreset_of_too_few_is_refused(backbone: Backbone) -> None:
    """Of one patch alone all weights would be 0."""
    with pytest.raises(ValueError, match=r"the coreset is 3 of 256 patches, fewer than model\.neighbours=9"):
        fitted(backbone, drawn_images(4, SIZE), Coreset(0.01), 9)


def test_features_that_are_no_numbers_are_refused() -> None:
    model = PatchCore(Backbone("resnet18", [2], SIZE, weights=None), ALL, 1)
    with pytest.raises(ValueError, match="the features of 2 of 2 images of the batch are NaN or infinite"):
        model.update(drawn_images(2, SIZE))


@pytest.mark.slow
def test_a_run_beats_chance(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.2 in both AUROCs, with random weights; and so does its checkpoint, with the same scores."""
    metrics = trained("patchcore", board, tmp_path, monkeypatch, "layers=l12")
    assert metrics["image_auroc"] > 0.7
    assert metrics["pixel_auroc"] > 0.7
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}")
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")


@pytest.mark.slurm
def test_two_processes_are_one(board: Path, tmp_path: Path) -> None:
    scores = []
    for number in (1, 2):
        processes = [] if number == 1 else ["trainer=ddp", "trainer.devices=2"]
        folder = tmp_path / str(number)
        given = ["method=patchcore", f"dataset.root={board}", f"output_dir={folder}", *TINY, *processes]
        result = command("train", *given)
        assert result.returncode == 0, result.stderr
        scores.append([float(row["score"]) for row in rows(folder / "predictions.csv")])
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)
