"""Patch SVDD: patches one by one, the losses by hand, distances by plain loops, and runs as a user starts them."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from padim.baselines.patch_encoder import BIG, DIMENSIONS, SMALL, PatchEncoder, PositionClassifier
from padim.baselines.patch_pairs import AROUND, cut, jittered, perturbed, positioned
from padim.baselines.patch_svdd import PatchSVDD, coverage
from padim.commands import evaluate
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run

SIZE = (112, 120)
STRIDES = (16, 12)
SMALLEST = ["dataset.resize=[128,128]", "dataset.image_size=[112,112]", "data.batch_size=8", "model.strides=[16,8]"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(svdd_weight: float = 0.5, pairs: int = 3, seed: int = 0) -> PatchSVDD:
    return PatchSVDD(SIZE, svdd_weight, pairs, STRIDES, seed)


def fitted() -> PatchSVDD:
    model, images = model_of(), drawn_images(3, SIZE, seed=0)
    model.place_mean(images.split(2))
    model.remember(images.split(2))
    return model


def places(image: Tensor) -> Tensor:
    """An image whose first colour is the row and whose second is the column of each pixel."""
    height, width = image.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, image[2]]).float()


@pytest.mark.parametrize("size", [(64, 64), (80, 97)])
def test_one_run_over_an_image_gives_the_vectors_of_its_patches(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    encoder, image = PatchEncoder(), torch.randn(1, 3, *size)
    for side, dense in zip((BIG, SMALL), encoder.dense(image), strict=True):
        assert dense.shape[2:] == tuple((length - side) // 2 + 1 for length in size)
        for row, column in {(0, 0), (dense.shape[2] - 1, dense.shape[3] - 1), (dense.shape[2] // 2, 0)}:
            patch = image[..., 2 * row : 2 * row + side, 2 * column : 2 * column + side]
            torch.testing.assert_close(encoder(patch), dense[:, :, row, column], rtol=1e-4, atol=1e-5)


def test_a_big_patch_is_its_quarters() -> None:
    torch.manual_seed(0)
    encoder, patch = PatchEncoder(), torch.randn(2, 3, BIG, BIG)
    quarters = [[encoder(patch[..., i : i + SMALL, j : j + SMALL]) for j in (0, SMALL)] for i in (0, SMALL)]
    small = torch.stack([torch.stack(row, -1) for row in quarters], -2)
    torch.testing.assert_close(encoder(patch), encoder.big(small, 1).flatten(1))


@pytest.mark.parametrize("side", [BIG, SMALL])
def test_positions_are_those_of_the_patches(side: int) -> None:
    """Three quarters of a side away and at most the whole, wherever the first patch lies, within the image."""
    images = torch.stack([places(image) for image in torch.zeros(4, 3, 127, 160)])
    pairs, which = positioned(images, side, 100, generator())
    down = (pairs.second - pairs.first)[:, 0].mean((1, 2)).round().long()
    right = (pairs.second - pairs.first)[:, 1].mean((1, 2)).round().long()
    assert set(which.tolist()) == set(range(8))
    for i, place in enumerate(which.tolist()):
        for step, way in zip((down[i], right[i]), AROUND[place], strict=True):
            assert step == 0 if way == 0 else 3 * side // 4 <= way * step < side
    assert down.abs().max() == side - 1  # the whole of it is drawn


@pytest.mark.parametrize("side", [BIG, SMALL])
def test_neighbours_lie_a_few_pixels_away(side: int) -> None:
    images = torch.stack([places(image) for image in torch.zeros(2, 3, 112, 113)])
    pairs = jittered(images, side, 300, generator())
    offsets = {tuple(way) for way in (pairs.second - pairs.first)[:, :2, 0, 0].long().tolist()}
    most = side // 32
    expected = {(i, j) for i in range(-most, most + 1) for j in range(-most, most + 1)} - {(0, 0)}
    assert offsets == expected
    assert (pairs.second - pairs.first)[:, :2].flatten(2).std(2).max() == 0  # whole patches


def test_patches_are_cut_out_of_their_own_image_and_reach_its_borders() -> None:
    images = torch.stack([places(torch.full((3, 64, 70), float(value))) for value in range(3)])
    offsets = torch.tensor([[0, 0], [5, -9]]).repeat_interleave(300, 0).repeat(3, 1)
    first, second = cut(images, SMALL, offsets, generator())
    assert first[:, 2].unique(dim=0).shape[0] == 3
    assert torch.equal(first[:, 2, 0, 0], torch.arange(3.0).repeat_interleave(600))
    corners = first[:, :2, 0, 0]
    assert torch.equal(second[:, :2, 0, 0] - corners, offsets.float())
    still = corners.view(3, 2, 300, 2)[:, 0].flatten(0, 1)
    assert still.amin(0).tolist() == [0, 0]
    assert still.amax(0).tolist() == [64 - SMALL, 70 - SMALL]


def test_colours_are_perturbed_a_little() -> None:
    patches = torch.full((4000, 3, 8, 8), 0.5)
    added = perturbed(patches, generator()) - patches
    assert added.mean((2, 3)).std().item() == pytest.approx((0.02**2 + 0.02**2 / 64) ** 0.5, rel=0.05)
    assert (added - added.mean((2, 3), keepdim=True)).std().item() == pytest.approx(0.02, rel=0.02)
    assert torch.equal(added, perturbed(patches, generator()) - patches)


def by_hand(model: PatchSVDD, images: Tensor, seed: int) -> float:
    """Pair by pair."""
    draw, total = generator(seed), 0.0
    prepared = (images.float() - model.mean) / 255
    for side, classifier in zip((BIG, SMALL), model.classifiers, strict=True):
        pairs, where = positioned(prepared, side, model.pairs, draw)
        for first, second, place in zip(*pairs, where.tolist(), strict=True):
            logits = classifier(model.encoder(first[None]), model.encoder(second[None]))[0].tolist()
            total += (math.log(math.fsum(map(math.exp, logits))) - logits[place]) / len(where)
        near = jittered(prepared, side, model.pairs, draw)
        for first, second in zip(*near, strict=True):
            ours, theirs = (model.encoder(patch[None])[0].tolist() for patch in (first, second))
            total += model.svdd_weight * math.dist(ours, theirs) / len(near.first)
    return total


def test_the_loss_is_that_computed_by_hand() -> None:
    model, images = model_of(), drawn_images(2, SIZE, seed=1)
    model.place_mean([images])
    assert model.loss(images, generator(5)).item() == pytest.approx(by_hand(model, images, 5), rel=1e-5)


def test_a_network_that_tells_nothing_has_the_loss_of_guessing() -> None:
    """ln 8 for each size, and no distance."""
    model, images = model_of(), drawn_images(2, SIZE, seed=1)
    model.place_mean([images])
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert model.loss(images, generator()).item() == pytest.approx(2 * math.log(8), rel=1e-5)


def test_the_classifier_sees_differences_alone() -> None:
    torch.manual_seed(0)
    classifier, first, second = PositionClassifier(), torch.randn(3, DIMENSIONS), torch.randn(3, DIMENSIONS)
    torch.testing.assert_close(classifier(first + 1, second + 1), classifier(first, second))


def test_the_mean_is_that_of_the_training_images() -> None:
    model, images = model_of(), drawn_images(5, SIZE, seed=0)
    model.place_mean(images.split(2))
    torch.testing.assert_close(model.mean, images.double().mean(0).float())


@pytest.mark.parametrize(("size", "side", "stride"), [(112, 64, 16), (113, 32, 12), (64, 64, 2), (100, 32, 32)])
def test_a_pixel_has_the_mean_of_the_patches_that_hold_it(size: int, side: int, stride: int) -> None:
    begins = range(0, size - side + 1, stride)
    matrix = coverage(size, side, stride)
    assert matrix.shape == (size, len(begins))
    for pixel in range(size):
        holding = [float(begin <= pixel < begin + side) for begin in begins]
        if not any(holding):  # beyond the last patch
            holding[-1] = 1.0
        assert matrix[pixel].tolist() == pytest.approx([value / sum(holding) for value in holding])


def test_distances_and_maps_are_those_of_plain_loops() -> None:
    """To the nearest patch of the training images; pixel by pixel the mean, size by size the product."""
    model, image = fitted(), drawn_images(1, SIZE, seed=7)
    training = (drawn_images(3, SIZE, seed=0) - model.mean) / 255
    prepared = (image - model.mean) / 255
    expected = torch.ones(SIZE, dtype=torch.float64)
    for side, stride in zip((BIG, SMALL), STRIDES, strict=True):
        corners = [(i, j) for i in range(0, SIZE[0] - side + 1, stride) for j in range(0, SIZE[1] - side + 1, stride)]
        patches = [torch.stack([one[:, i : i + side, j : j + side] for i, j in corners]) for one in training]
        normal = model.encoder(torch.cat(patches)).tolist()
        held, sums = torch.zeros(SIZE), torch.zeros(SIZE, dtype=torch.float64)
        for i, j in corners:
            (own,) = model.encoder(prepared[..., i : i + side, j : j + side]).tolist()
            sums[i : i + side, j : j + side] += min(math.dist(own, other) for other in normal)
            held[i : i + side, j : j + side] += 1
        expected *= sums / held  # NaN beyond the last patch
    prediction = model(image)
    inside = expected.isfinite()
    assert inside.sum() == (SMALL + 6 * 12) * (BIG + 3 * 16)
    torch.testing.assert_close(prediction.anomaly_map[0][inside].double(), expected[inside], rtol=1e-3, atol=1e-7)
    assert prediction.score == prediction.anomaly_map.max()


def test_training_images_are_at_no_distance() -> None:
    model = fitted()
    assert model(drawn_images(3, SIZE, seed=0)).score.max() < 1e-6 * model(drawn_images(1, SIZE, seed=7)).score


def test_a_score_depends_on_its_image_alone() -> None:
    model, images = fitted(), drawn_images(3, SIZE, seed=7)
    apart = torch.cat([model(batch).score for batch in images.split(2)])
    torch.testing.assert_close(model(images).score, apart, rtol=1e-3, atol=0)


def test_before_the_fit_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="the model is not fitted: it has no image to compare with"):
        model_of()(drawn_images(1, SIZE))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": (111, 224)}, r"images of \[111, 224\] pixels: .* takes 112 pixels or more on each side"),
        ({"svdd_weight": -1.0}, r"model.svdd_weight=-1.0 must be 0 or more"),
        ({"pairs": 0}, r"model.pairs=0 1 or more"),
        ({"strides": [16]}, r"model.strides=\[16\]; give two multiples of 2 pixels, up to 64 and up to 32"),
        ({"strides": [16, 3]}, r"model.strides=\[16, 3\]; give two"),
        ({"strides": [66, 4]}, r"model.strides=\[66, 4\]; give two"),
    ],
)
def test_what_is_impossible_is_refused(arguments: dict[str, object], message: str) -> None:
    usual = {"image_size": SIZE, "svdd_weight": 1.0, "pairs": 1, "strides": STRIDES, "seed": 0}
    with pytest.raises(ValueError, match=message):
        PatchSVDD(**{**usual, **arguments})


@pytest.mark.slow
def test_a_run_beats_chance(wood: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.1 in pixel AUROC after three steps, which its vectors owe more to the network's form than to what it learnt.

    Its checkpoint, with the patches of the training images in it, gives the same scores of the same batches: of others,
    convolutions may give other last digits.
    """
    given = [*SMALLEST, "dataset.category=wood", "model.pairs=1", "trainer.max_epochs=1"]
    metrics = trained("patch_svdd", wood, tmp_path, monkeypatch, *given)
    assert metrics["pixel_auroc"] > 0.6
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}", SMALLEST[2])
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")


@pytest.mark.slow
def test_training_helps(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss falls below that of guessing the positions, and it beats chance by 0.2 in pixel AUROC.

    With a weight of 1 the loss stayed there: all vectors became one before positions were learnt.
    """
    given = [*SMALLEST, "model.learning_rate=5e-4", "trainer.max_epochs=15"]
    metrics = trained("patch_svdd", board, tmp_path, monkeypatch, *given)
    losses = [float(row["loss"]) for row in rows(tmp_path / "csv" / "metrics.csv") if row["loss"]]
    assert sum(losses[-9:]) / 9 < 0.9 * 2 * math.log(8)
    assert metrics["pixel_auroc"] > 0.7
