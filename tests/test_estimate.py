"""How much memory a fit takes, and what is said where there is less."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from padim import memory
from padim.backbone import Backbone
from padim.checkpoint import load_module
from padim.covariance import Covariance
from padim.estimate import require_memory
from padim.head import Head
from padim.heads import LayerSum
from padim.reduction import make_reduction
from tests.export.models import FITTED, SMALL, fitted, save

CHANNELS, GRIDS = (64, 128, 256), ((56, 56), (28, 28), (14, 14))


def head(dim: int | None = None, save_state: bool = True) -> Head:
    """R18, without its memory."""
    with torch.device("meta"):
        reduction = make_reduction("none" if dim is None else "random", CHANNELS, dim)
        return Head(CHANNELS, GRIDS, (224, 224), reduction=reduction, save_state=save_state)


def there_are(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(memory, "available", lambda: int(gigabytes * 1e9))


@pytest.mark.parametrize("free", [1.0, 0.3, 0.05])
def test_a_fit_that_is_too_large_is_told_what_would_fit(free: float, monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, free)
    message = r"for any number of images this fit needs 1\.1 GB \(0\.6 for the statistics, 0\.6 for their whitening\)"
    with pytest.raises(MemoryError, match=message) as caught:
        require_memory(head())
    assert ("model.save_state=false" in str(caught.value)) == (free == 1.0)
    advised = re.search(r"reduction.dim=(\d+)", str(caught.value))
    assert advised
    fitting = head(int(advised[1]))
    require_memory(fitting)
    assert fitting.nbytes + fitting.statistics.nbytes > 0.7 * free * 1e9  # and does not give much away


def test_what_the_advice_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, 0.7)
    require_memory(head(save_state=False))


@pytest.mark.parametrize("covariance", [Covariance("oas", 0.0), Covariance(pool=3), Covariance()], ids=str)
def test_no_advice_is_given_that_saves_nothing(covariance: Covariance, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written over the statistics is of their shape."""
    with torch.device("meta"):
        heads = [Head(CHANNELS, GRIDS, (224, 224), covariance=covariance, save_state=save) for save in (True, False)]
    there_are(monkeypatch, 0.6)
    saves = heads[1].nbytes < heads[0].nbytes
    with pytest.raises(MemoryError) as caught:
        require_memory(heads[0])
    assert ("model.save_state=false" in str(caught.value)) == saves == (covariance == Covariance())


def test_a_sum_of_layers_needs_what_they_need_together(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, 0.32)
    with torch.device("meta"):
        layers = [Head(CHANNELS, GRIDS, (224, 224), maps=[m]) for m in range(3)]
    require_memory(LayerSum(layers))
    there_are(monkeypatch, 0.31)
    with pytest.raises(MemoryError, match=r"needs 0\.3 GB \(0\.2 for the statistics, 0\.2 for their whitening\)"):
        require_memory(LayerSum(layers))


def test_it_is_what_a_fit_takes() -> None:
    """In bytes of tensors that hold numbers, whatever the covariance."""
    for covariance in (Covariance(), Covariance("oas"), Covariance(pool=3)):
        for save_state in (True, False):
            one = Head((6, 4), ((8, 8), (4, 4)), (16, 16), covariance=covariance, save_state=save_state)
            one.update([torch.rand(5, 6, 8, 8), torch.rand(5, 4, 4, 4)])
            held = [t for moments in one.statistics.moments for t in (moments.mean, moments.scatter)]
            assert sum(tensor.nbytes for tensor in held) == one.statistics.nbytes
            one.finalise()
            beside = {level.whitening.data_ptr(): level.whitening.nbytes for level in one.levels}
            if save_state or one.nbytes:
                assert sum(beside.values()) == one.nbytes
            else:
                assert sum(beside.values()) == sum(tensor.nbytes for tensor in held if tensor.dtype == torch.float32)


def test_a_fit_is_refused_and_a_fitted_model_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is mapped from its file, and what scores nothing is never read."""
    large: dict[str, Any] = {"size": (256, 256), **SMALL}  # 0.13 GB
    path = save(fitted(**large), tmp_path / "model.ckpt")
    there_are(monkeypatch, 0.1)
    with pytest.raises(MemoryError, match=r"for any number of images this fit needs 0\.1 GB"):
        fitted(**large)
    assert load_module(path).fitted == FITTED


def test_a_network_that_is_too_large_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file may name one of billions of weights."""
    there_are(monkeypatch, 0.04)
    for weights in ("random", None):
        with pytest.raises(MemoryError, match=r"resnet18 needs 0.0 GB .* take a smaller network"):
            Backbone("resnet18", (1,), (64, 64), weights=weights)
