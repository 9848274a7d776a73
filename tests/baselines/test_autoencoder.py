"""AE-L2 and AE-SSIM: the paper's layers, the losses by hand, and runs as a user starts them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from padim.baselines.ae_l2 import AEL2
from padim.baselines.ae_ssim import AESSIM
from padim.baselines.autoencoder import Autoencoder, encoder_and_decoder
from padim.commands import evaluate, predict
from padim.export.comparison import drawn_images
from padim.scoring import anomaly_map
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run

SMALL = ["dataset.resize=[36,36]", "dataset.image_size=[32,32]", "data.batch_size=4", "model.learning_rate=2e-3"]

# Conv1 to Conv9 of Bergmann et al. 2018, table 1: channels and sides, of images of 128 x 128
TABLE = [(32, 64), (32, 32), (32, 32), (64, 16), (64, 16), (128, 8), (64, 8), (32, 8), (100, 1)]


def both(size: tuple[int, int] = (32, 48), seed: int = 0, sigma: float = 0.0) -> list[Autoencoder]:
    return [AEL2(size, 7, sigma, seed), AESSIM(size, 7, sigma, seed, window=11)]


def shapes(layers: nn.Sequential, values: torch.Tensor) -> list[tuple[int, int]]:
    """Channels and sides after each convolution."""
    found = []
    for layer in layers:
        values = layer(values)
        if not isinstance(layer, nn.LeakyReLU):
            found.append((values.shape[1], values.shape[2]))
    return found


def test_the_layers_are_those_of_the_paper() -> None:
    encoder, decoder = encoder_and_decoder((128, 128), channels=1, latent=100)
    assert shapes(encoder, torch.zeros(1, 1, 128, 128)) == TABLE
    assert shapes(decoder, torch.zeros(1, 100, 1, 1)) == [*TABLE[-2::-1], (1, 128)]
    for layers in (encoder, decoder):
        linear = [layer for layer in layers if not isinstance(layer, nn.LeakyReLU)]
        assert list(layers)[::2] == linear  # one in between each two, and none at the end
        assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_larger_images_have_more_strides() -> None:
    """One more layer for the 256 x 256 pixels of MVTec AD's objects (Bergmann et al. 2019)."""
    encoder, decoder = encoder_and_decoder((256, 256), channels=3, latent=100)
    assert shapes(encoder, torch.zeros(1, 3, 256, 256)) == [(32, 128), *TABLE]
    assert shapes(decoder, torch.zeros(1, 100, 1, 1))[-2:] == [(32, 128), (3, 256)]


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (128, 128), (160, 224), (224, 224)])
def test_maps_have_the_size_of_the_images(size: tuple[int, int]) -> None:
    images = drawn_images(1, size, seed=0)
    for model in both(size):
        prediction = model(images)
        assert prediction.anomaly_map.shape == (1, *size)
        assert prediction.score == prediction.anomaly_map.max()


@pytest.mark.parametrize(("size", "stride"), [((56, 56), 16), ((128, 120), 16), ((240, 240), 32)])
def test_a_size_that_the_strides_do_not_divide_is_refused(size: tuple[int, int], stride: int) -> None:
    with pytest.raises(ValueError, match=rf"images of \[{size[0]}, {size[1]}\] .* takes multiples of {stride} pixels"):
        AEL2(size, 5, sigma=0.0, seed=0)


@pytest.mark.parametrize("window", [0, 4])
def test_a_window_without_a_centre_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match=f"model.window={window}; it must be odd"):
        AESSIM((32, 32), 5, 0.0, 0, window=window)


def test_the_losses_are_those_computed_by_hand() -> None:
    """Of a decoder that makes everything 0.5, and one colour."""
    images = torch.tensor([255, 0, 51], dtype=torch.uint8)[None, :, None, None].expand(2, 3, 32, 48)
    grey = 0.2989 * 1 + 0.587 * 0 + 0.114 * 0.2
    expected = [0.5**2 + 0.5**2 + 0.3**2, 1 - (2 * grey * 0.5 + 0.01) / (grey**2 + 0.5**2 + 0.01)]
    for model, value in zip(both(), expected, strict=True):
        last = model.decoder[-1]
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 0.5)
        assert model.loss(images, torch.Generator()).item() == pytest.approx(value, abs=1e-5)
        torch.testing.assert_close(model(images).anomaly_map, torch.full((2, 32, 48), value))


def test_a_smoothed_map_is_what_scipy_makes_of_the_residual() -> None:
    images = drawn_images(2, (32, 48), seed=0)
    for model, smooth in zip(both(), both(sigma=2.0), strict=True):
        expected = gaussian_filter(model(images).anomaly_map.detach(), (0, 2, 2))
        found = smooth(images)
        np.testing.assert_allclose(found.anomaly_map.detach(), expected, rtol=1e-4)
        assert torch.equal(found.score, found.anomaly_map.amax((1, 2)))
        assert smooth.loss(images, torch.Generator()) == model.loss(images, torch.Generator())


def test_maps_keep_float32_in_mixed_precision() -> None:
    """Which is for the network: a map in bfloat16 has two digits, and its maximum several pixels."""
    images = drawn_images(2, (32, 48), seed=0)
    for model, smooth in zip(both(), both(sigma=2.0), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            residual, found = model.residual(images), smooth(images).anomaly_map
        assert torch.equal(found, anomaly_map(residual, smooth.rows, smooth.columns))


def test_no_latent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model.latent=0; it must be 1 or more"):
        AEL2((32, 32), 0, 0.0, 0)


def test_a_score_depends_on_its_image_alone() -> None:
    images = drawn_images(5, (32, 48), seed=0)
    for model in both():
        apart = torch.cat([model(batch).score for batch in images.split(2)])
        torch.testing.assert_close(model(images).score, apart)


def test_first_weights_depend_on_the_seed_alone() -> None:
    before = torch.get_rng_state()
    for one, same, other in zip(both(), both(), both(seed=1), strict=True):
        states = [nn.utils.parameters_to_vector(model.parameters()) for model in (one, same, other)]
        assert torch.equal(states[0], states[1])
        assert not torch.equal(states[0], states[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ae_l2", "ae_ssim"])
def test_a_run_beats_chance(method: str, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 0.25 in pixel AUROC, and its loss falls to a third."""
    metrics = trained(method, board, tmp_path, monkeypatch, *SMALL, "trainer.max_epochs=30")
    assert metrics["pixel_auroc"] > 0.75
    losses = [float(row["loss"]) for row in rows(tmp_path / "csv" / "metrics.csv") if row["loss"]]
    assert len(losses) == 30 * 6
    assert sum(losses[-6:]) < sum(losses[:6]) / 3


@pytest.fixture(scope="module")
def ssim_run(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ae_ssim")
    with pytest.MonkeyPatch.context() as monkeypatch:
        trained("ae_ssim", board, folder, monkeypatch, *SMALL, "trainer.max_epochs=2")
    return folder


@pytest.mark.slow
def test_an_evaluation_gives_the_scores_of_the_run(
    ssim_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, evaluate.main, f"checkpoint={ssim_run / 'padim.ckpt'}", f"output_dir={tmp_path}")
    assert rows(tmp_path / "predictions.csv") == rows(ssim_run / "predictions.csv")


@pytest.mark.slow
def test_a_prediction_gives_the_scores_of_the_run(
    ssim_run: Path, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [f"checkpoint={ssim_run / 'padim.ckpt'}", f"input={board}", f"output_dir={tmp_path}"]
    run(monkeypatch, predict.main, *given)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    scores = {Path(line["path"]): line["score"] for line in lines}
    for row in rows(ssim_run / "predictions.csv"):
        assert scores[Path(row["path"])] == pytest.approx(float(row["score"]), rel=1e-4)
