"""The variational auto-encoder: its loss by hand, its gradients, its map and its attention."""

import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from scipy import ndimage
from torch.distributions import Normal, kl_divergence

from padim.baselines.vae import VAE, Encoder, divergence, mirrored
from padim.baselines.vae_attention import VAEAttention
from padim.export.comparison import drawn_images
from tests.baselines.runs import trained

SIZE, LATENT = (32, 64), 3


def made(kl_weight: float = 1.0, sigma: float = 0.0, seed: int = 0) -> VAE:
    return VAE(Encoder("resnet18", [4], SIZE), LATENT, kl_weight, sigma, seed)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_divergence_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(2, 5, 4, 3, 2, generator=noise(), dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum((1, 2, 3))
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    assert divergence(0 * mean, 0 * mean).abs().max() == 0


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_the_loss_is_that_of_plain_loops(kl_weight: float) -> None:
    model, images = made(kl_weight).eval().double(), drawn_images(2, SIZE, seed=0)
    drawn = torch.randn(2, LATENT, 1, 2, generator=noise(7))
    total = 0.0
    for image, own in zip(images, drawn.double(), strict=True):
        mean, log_variance = (part[0] for part in model.encode(model.features(image[None])))
        z = torch.zeros_like(mean)
        for place in np.ndindex(*z.shape):
            m, v = mean[place].item(), math.exp(log_variance[place].item())
            z[place] = m + math.sqrt(v) * own[place]
            total += kl_weight * (m * m + v - 1 - math.log(v)) / 2
        decoded = model.decoder(z[None])[0].detach().numpy()
        total += ((image.numpy() / 255 - decoded) ** 2).sum()
    torch.testing.assert_close(model.loss(images, noise(7)).item(), total / 2, rtol=1e-6, atol=0)


def test_only_the_noise_is_drawn_and_only_by_the_generator() -> None:
    model, images = made().eval(), drawn_images(2, SIZE, seed=0)
    torch.manual_seed(1)
    one, state = model.loss(images, noise(1)), torch.random.get_rng_state()
    assert torch.equal(one, model.loss(images, noise(1)))
    assert not torch.equal(one, model.loss(images, noise(2)))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(model(images).score, model(images).score)


def test_all_of_it_learns() -> None:
    """The encoder too, which elsewhere is frozen, with the running statistics of its batch norm."""
    model, images = made(), drawn_images(4, SIZE, seed=0)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    model.loss(images, noise()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert (model.posterior.weight.grad.flatten(1).abs().sum(1) > 0).all()
    changed = {name for name, value in model.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "running" in name or "batches" in name}


def test_a_seed_is_a_network() -> None:
    one, same, other = (made(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["posterior.weight"], other["posterior.weight"])
    assert not torch.equal(one["decoder.0.weight"], other["decoder.0.weight"])


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_the_map_is_the_smoothed_residual(sigma: float) -> None:
    """Whatever the batch."""
    model, images = made(sigma=sigma).eval(), drawn_images(3, SIZE, seed=0)
    with torch.inference_mode():
        score, anomaly_map, _ = model(images)
        decoded = model.decoder(model.encode(model.features(images))[0])
        alone = torch.cat([model(image[None]).anomaly_map for image in images])
    torch.testing.assert_close(anomaly_map, alone)
    residual = ((images.double() / 255 - decoded) ** 2).sum(1).numpy()
    expected = ndimage.gaussian_filter(residual, (0, sigma, sigma)) if sigma else residual
    np.testing.assert_allclose(anomaly_map, expected, rtol=1e-4)
    assert torch.equal(score, anomaly_map.amax((1, 2)))


@pytest.mark.parametrize("size", [(256, 256), (224, 224), (56, 56), (72, 100), (33, 65)])
def test_the_decoder_goes_through_the_grids_of_the_encoder(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = timm.create_model("resnet18", features_only=True)
        grids = [tuple(feature.shape[2:]) for feature in network(torch.empty(1, 3, *size))]
    assert mirrored(size, grids[-1]) == [*reversed(grids[:-1]), size]
    assert mirrored(size, grids[2]) == [*reversed(grids[:2]), size]


def test_values_that_make_no_sense() -> None:
    for latent, kl_weight in ((0, 1.0), (3, -1.0)):
        with pytest.raises(ValueError, match=rf"model.latent={latent} must be 1 or more, model.kl_weight={kl_weight}"):
            VAE(Encoder("resnet18", [4], SIZE), latent, kl_weight, 4.0, 0)
    with pytest.raises(ValueError, match=r"layers.stages gives 2 feature maps; the latent is made of one"):
        VAE(Encoder("resnet18", [3, 4], SIZE), 3, 1.0, 4.0, 0)
    with pytest.raises(ValueError, match="allowed is uint8"):
        made()(drawn_images(2, (64, 32), seed=0))


def test_the_encoder_learns() -> None:
    """From its first convolution on, and what it has learnt shows at once, also in eval mode."""
    model, images = VAE(Encoder("resnet18", [4], SIZE), LATENT, 1.0, 4.0, 0).eval(), drawn_images(2, SIZE, 0)
    before = model.distances(images)
    model.loss(images, torch.Generator()).backward()
    (first, *_) = model.encoder.parameters()
    assert first.grad is not None
    assert first.grad.abs().max() > 0
    with torch.no_grad():
        first.mul_(2)
    assert not torch.equal(model.distances(images), before)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "by"), [("vae", 0.2), ("vae_attention", 0.1)])
def test_a_run_beats_chance(
    method: str, by: float, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pixel AUROC, after 120 steps. At 64 pixels a divergence of full weight would leave little else to learn."""
    given = ["layers=l3", "model.kl_weight=0.1", "model.learning_rate=1e-3", "model.sigma=2", "trainer.max_epochs=40"]
    metrics = trained(method, board, tmp_path, monkeypatch, *given)
    assert metrics["pixel_auroc"] > 0.5 + by


def test_the_attention_is_that_of_the_gradients() -> None:
    """Of each number of the latent, by autograd, as the paper has it."""
    model, images = VAEAttention(Encoder("resnet18", [3], SIZE), LATENT, 1.0, 0.0, 0).eval(), drawn_images(2, SIZE, 0)
    torch.nn.init.normal_(model.posterior.bias)  # which is not attended to
    found = model.distances(images)
    for image, ours in zip(images, found, strict=True):
        features = model.features(image[None]).detach().requires_grad_()
        mean, _ = model.encode(features)
        maps = []
        for number in mean.flatten():
            (gradient,) = torch.autograd.grad(number, features, retain_graph=True)
            alpha = gradient.double().mean((2, 3), keepdim=True)
            maps.append((alpha * features.double()).sum((0, 1)).relu())
        assert len(maps) == LATENT * 2 * 4
        torch.testing.assert_close(ours.double(), torch.stack(maps).mean(0), rtol=1e-4, atol=1e-8)
    assert model(images).anomaly_map.shape == (2, *SIZE)


def test_trained_weights_without_the_last_stage_serve_the_third(weights: Path) -> None:
    """Of ResNet18 up to layer3; it goes on learning from there."""
    model = VAE(Encoder("resnet18", [3], SIZE, weights=str(weights)), LATENT, 1.0, 4.0, 0)
    given = Encoder("resnet18", [3], SIZE, weights=str(weights)).state_dict()
    assert all(torch.equal(value, given[name]) for name, value in model.encoder.state_dict().items())
    with pytest.raises(ValueError, match=r"layer4"):
        Encoder("resnet18", [4], SIZE, weights=str(weights))
