"""Deep SVDD: the loss by hand, a centre that nothing trivial reaches, and runs as a user starts them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from padim.baselines.deep_svdd import OUTPUTS, DeepSVDD, network, normalised, off_zero
from padim.checkpoint import load_method
from padim.commands import evaluate
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run

SIZE = (16, 24)
TINY = ["dataset.resize=[36,36]", "dataset.image_size=[32,32]", "data.batch_size=8", "model.learning_rate=1e-3"]


def placed(seed: int = 0) -> DeepSVDD:
    model = DeepSVDD(SIZE, seed)
    model.place_centre(drawn_images(8, SIZE, seed=0).split(4))
    return model.eval()


def test_near_zero_coordinates_are_moved_to_their_own_side() -> None:
    moved = off_zero(torch.tensor([0.0, 0.03, -0.03, 0.1, -0.1, 2.0, -2.0]))
    torch.testing.assert_close(moved, torch.tensor([0.1, 0.1, -0.1, 0.1, -0.1, 2.0, -2.0]))


def test_contrast_is_that_of_each_image() -> None:
    """By hand: of 1, 3, 5 the mean is 3 and the mean absolute deviation 4/3."""
    images = torch.tensor([1, 3, 5], dtype=torch.uint8)[None, :, None, None]
    torch.testing.assert_close(normalised(images).flatten(), torch.tensor([-1.5, 0.0, 1.5]))
    brighter = torch.cat([images, 2 * images + 7, torch.full_like(images, 9)])
    torch.testing.assert_close(normalised(brighter)[1], normalised(images)[0])
    assert torch.equal(normalised(brighter)[2], torch.zeros(3, 1, 1))


def test_nothing_gives_nothing() -> None:
    """No layer adds a constant, so that the centre cannot be learnt by heart (proposition 2)."""
    layers = network(SIZE).eval()
    assert all(getattr(layer, "bias", None) is None for layer in layers)
    assert torch.equal(layers(torch.zeros(1, 3, *SIZE)), torch.zeros(1, OUTPUTS))


def test_the_loss_is_that_computed_by_hand() -> None:
    """Of a last layer that gives the same number everywhere, and of one that gives none."""
    model, images = placed(), drawn_images(3, SIZE, seed=1)
    nn.init.zeros_(model.network[-1].weight)
    expected = sum(value**2 for value in model.centre.tolist())
    assert expected >= OUTPUTS * 0.1**2
    assert model.loss(images, torch.Generator()).item() == pytest.approx(expected, rel=1e-6)
    model.centre = torch.full((OUTPUTS,), 0.5)
    torch.testing.assert_close(model(images).score, torch.full((3,), OUTPUTS * 0.25))


def test_scores_are_squared_distances_from_the_mean_of_the_first_outputs() -> None:
    images, model = drawn_images(8, SIZE, seed=0), DeepSVDD(SIZE, seed=0)
    model.place_centre([images])
    outputs = model.mapped(images)  # by batch norm's statistics of this very batch, as the centre
    torch.testing.assert_close(model.centre, off_zero(outputs.mean(0)))
    expected = [sum((a - b) ** 2 for a, b in zip(row, model.centre.tolist(), strict=True)) for row in outputs.tolist()]
    prediction = model(images)
    torch.testing.assert_close(prediction.score, torch.tensor(expected), rtol=1e-5, atol=0)
    assert torch.equal(prediction.anomaly_map, prediction.score[:, None, None].expand(8, *SIZE))


def test_a_score_depends_on_its_image_alone() -> None:
    model, images = placed(), drawn_images(5, SIZE, seed=1)
    apart = torch.cat([model(batch).score for batch in images.split(2)])
    torch.testing.assert_close(model(images).score, apart)


def test_first_weights_depend_on_the_seed_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (nn.utils.parameters_to_vector(DeepSVDD(SIZE, seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_before_the_fit_it_says_so() -> None:
    """By NaN, which no metric takes."""
    assert DeepSVDD(SIZE, seed=0)(drawn_images(2, SIZE)).score.isnan().all()


def test_a_size_that_the_strides_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images of \[20, 16\] pixels: method=deep_svdd takes multiples of 8 pixels"):
        DeepSVDD((20, 16), seed=0)


@pytest.mark.slow
def test_a_run_beats_chance(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.1 in image AUROC; its loss falls to a third. It places nothing, and says so.

    Its checkpoint gives the same scores, about the same centre.
    """
    metrics = trained("deep_svdd", board, tmp_path, monkeypatch, *TINY, "trainer.max_epochs=20")
    assert metrics["image_auroc"] > 0.6
    assert "pixel_auroc" not in metrics
    losses = [float(row["loss"]) for row in rows(tmp_path / "csv" / "metrics.csv") if row["loss"]]
    assert len(losses) == 20 * 3
    assert sum(losses[-3:]) < sum(losses[:3]) / 3
    assert load_method(tmp_path / "padim.ckpt").model.centre.abs().min() >= 0.1
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}")
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")
