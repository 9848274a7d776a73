"""GANomaly: DCGAN's layers, the losses by hand, and runs as a user starts them."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from padim.baselines.ganomaly import GANomaly, GANomalyModule, Weights, halved
from padim.commands import evaluate
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run

SIZE = (32, 32)
SMALL = ["dataset.resize=[36,36]", "dataset.image_size=[32,32]", "data.batch_size=4", "model.channels=16"]


def network(weights: tuple[float, float, float] = (1, 50, 1), size: tuple[int, int] = SIZE, seed: int = 0) -> GANomaly:
    return GANomaly(size, latent=6, channels=4, weights=Weights(*weights), seed=seed)


def shapes(layers: nn.Sequential, values: torch.Tensor) -> list[tuple[int, int]]:
    """Channels and sides after each convolution."""
    found = []
    for layer in layers:
        values = layer(values)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            found.append((values.shape[1], values.shape[2]))
    return found


def test_the_layers_are_those_of_dcgan() -> None:
    model = GANomaly((64, 64), latent=100, channels=64, weights=Weights(1, 50, 1), seed=0)
    encoder = [(64, 32), (128, 16), (256, 8), (512, 4)]
    images = torch.zeros(2, 3, 64, 64)
    for layers in (model.encoder, model.second_encoder):
        assert shapes(layers, images) == [*encoder, (100, 1)]
    assert shapes(model.discriminator, images) == [*encoder, (1, 1)]
    assert shapes(model.decoder, torch.zeros(2, 100, 1, 1)) == [*encoder[::-1], (3, 64)]


@pytest.mark.parametrize(
    ("size", "grids"),
    [
        ((8, 8), [(4, 4)]),
        ((32, 32), [(16, 16), (8, 8), (4, 4)]),
        ((56, 56), [(28, 28), (14, 14), (7, 7)]),
        ((64, 128), [(32, 64), (16, 32), (8, 16), (4, 8)]),
        ((224, 224), [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7)]),
    ],
)
def test_images_are_halved_to_a_small_grid(size: tuple[int, int], grids: list[tuple[int, int]]) -> None:
    assert halved(size) == grids
    if max(size) <= 128:
        prediction = network(size=size)(drawn_images(2, size, seed=0))
        assert prediction.anomaly_map.shape == (2, *size)
        assert (prediction.anomaly_map == prediction.score[:, None, None]).all()


@pytest.mark.parametrize("size", [(4, 4), (72, 72), (33, 64), (32, 128)])
def test_a_size_that_does_not_come_to_a_small_grid_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"images of \[{size[0]}, {size[1]}\] pixels: .* change dataset.image_size"):
        network(size=size)


def test_the_losses_are_those_computed_by_hand() -> None:
    """Each part alone, in float64, of what the networks make."""
    images, model = drawn_images(3, SIZE, seed=0), network()
    with torch.no_grad():
        given = images.double() / 255 * 2 - 1
        made, latent, again = model.generate(given.float())
        real, fake = (model.discriminator[:-1](some) for some in (given.float(), made))
        logits = [model.discriminator(some).double() for some in (given.float(), made)]
    parts = [
        ((real - fake).double() ** 2).mean().item(),
        (given - made).abs().mean().item(),
        ((latent - again).double() ** 2).mean().item(),
    ]
    for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 50, 1)):
        model.weights = Weights(*weights)
        expected = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        assert model.loss(images, torch.Generator()).item() == pytest.approx(expected, rel=1e-5)
    of_real, of_fake = (1 / (1 + (-logit).exp()) for logit in logits)
    expected = -(of_real.log().mean() + (1 - of_fake).log().mean()).item() / 2
    assert model.discriminator_loss(images, torch.Generator()).item() == pytest.approx(expected, rel=1e-5)


def test_the_losses_of_networks_that_say_nothing() -> None:
    """A black or white image made grey is off by 1 of a range of 2; a discriminator in doubt loses ln 2."""
    images, model = torch.full((2, 3, *SIZE), 255, dtype=torch.uint8), network((0, 50, 0))
    nn.init.zeros_(model.decoder[-2].weight)
    nn.init.zeros_(model.discriminator[-1].weight)
    assert model.loss(images, torch.Generator()).item() == pytest.approx(50)
    assert model.loss(torch.zeros_like(images), torch.Generator()).item() == pytest.approx(50)
    assert model.discriminator_loss(images, torch.Generator()).item() == pytest.approx(math.log(2))


def test_a_score_is_the_l1_distance_of_the_latents() -> None:
    images, model = drawn_images(5, SIZE, seed=0), network().eval()
    _, latent, again = model.generate(model.scaled(images))
    pairs = zip(latent.tolist(), again.tolist(), strict=True)
    expected = [sum(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    torch.testing.assert_close(model(images).score, torch.tensor(expected))
    apart = torch.cat([model(batch).score for batch in images.split(2)])  # batch norm does not look at the batch
    torch.testing.assert_close(model(images).score, apart)


def test_scores_keep_float32_in_mixed_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert network()(drawn_images(2, SIZE)).score.dtype == torch.float32


def test_each_optimiser_has_its_own_networks() -> None:
    module = GANomalyModule([32, 32], 6, 4, Weights(1, 50, 1)._asdict(), learning_rate=2e-4, seed=0)
    generator, discriminator = module.configure_optimizers()
    given = [{id(p) for group in one.param_groups for p in group["params"]} for one in (generator, discriminator)]
    assert given[1] == {id(p) for p in module.model.discriminator.parameters()}
    assert given[0] == {id(p) for p in module.model.parameters()} - given[1]
    assert {group["betas"] for one in (generator, discriminator) for group in one.param_groups} == {(0.5, 0.999)}


def test_the_discriminator_learns_by_no_gradient_of_the_others() -> None:
    images, model = drawn_images(2, SIZE, seed=0), network()
    model.discriminator_loss(images, torch.Generator()).backward()
    assert all(parameter.grad is None for parameter in model.generator)
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.discriminator.parameters())


def test_first_weights_depend_on_the_seed_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (nn.utils.parameters_to_vector(network(seed=seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_run_beats_chance(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.1 in image AUROC; and its checkpoint scores as it did."""
    metrics = trained("ganomaly", board, tmp_path, monkeypatch, *SMALL, "trainer.max_epochs=30")
    assert metrics["image_auroc"] > 0.6
    assert "pixel_auroc" not in metrics
    losses = [float(row["loss"]) for row in rows(tmp_path / "csv" / "metrics.csv") if row["loss"]]
    assert sum(losses[-6:]) < sum(losses[:6]) / 2
    again = tmp_path / "again"
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={again}")
    assert rows(again / "predictions.csv") == rows(tmp_path / "predictions.csv")
