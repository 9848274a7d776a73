"""Images in, scores out."""

import pytest
import torch

from padim.backbone import Backbone
from padim.head import Head
from padim.model import PaDiM
from padim.reduction import make_reduction

SIZE = (64, 96)


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def parts(weights: str | None) -> tuple[Backbone, Head]:
    backbone = Backbone("resnet18", (1, 2, 3), SIZE, weights=weights)
    reduction = make_reduction("random", backbone.channels, 30)
    return backbone, Head(backbone.channels, backbone.grids, SIZE, reduction=reduction)


@pytest.fixture(scope="module")
def model() -> PaDiM:
    model = PaDiM(*parts("random"))
    for batch in images(10).split(4):
        model.update(batch)
    model.finalise()
    return model


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 8])
def test_features_are_the_backbones_of_normalised_images(
    model: PaDiM, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = images(5)
    monkeypatch.setattr(model.backbone, "at_once", at_once)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (batch / 255 - mean[:, None, None]) / std[:, None, None]
    for ours, expected in zip(model.features(batch), model.backbone(normalised), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_a_processor_takes_few_images_at_once(model: PaDiM, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, forward = [], model.backbone.forward
    monkeypatch.setattr(model.backbone, "forward", lambda images: counts.append(len(images)) or forward(images))
    monkeypatch.setattr(model.backbone, "at_once", 4)
    for count in (1, 4, 5, 9):
        model.features(images(count))
    assert counts == [1, 4, 3, 2, 3, 3, 3]


def test_no_images_have_feature_maps(model: PaDiM) -> None:
    assert [len(maps) for maps in model.features(images(0))] == [0, 0, 0]


def test_shapes(model: PaDiM) -> None:
    prediction = model(images(3, seed=1))
    assert prediction.score.shape == (3,)
    assert prediction.anomaly_map.shape == (3, *SIZE)
    assert [distances.shape for distances in prediction.level_distances] == [(3, 16, 24)] * 3


def test_updating_needs_no_gradient(model: PaDiM) -> None:
    assert not any(feature.requires_grad for feature in model.features(images(1)))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_save_and_load(model: PaDiM) -> None:
    twin = PaDiM(*parts(None))
    twin.load_state_dict(model.state_dict())
    ours, theirs = twin(images(2, seed=1)), model(images(2, seed=1))
    assert torch.equal(ours.score, theirs.score)
    assert torch.equal(ours.anomaly_map, theirs.anomaly_map)


def test_removing_an_image(model: PaDiM) -> None:
    before = model(images(2, seed=1)).score
    model.update(images(3, seed=2))
    model.remove(images(3, seed=2))
    model.finalise()
    torch.testing.assert_close(model(images(2, seed=1)).score, before, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3, *SIZE), torch.zeros(1, 3, 96, 64, dtype=torch.uint8), images(1)[:, :1], images(1)[0]]
)
def test_other_images_are_refused(model: PaDiM, wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"allowed is uint8 of shape \(B, 3, 64, 96\)"):
        model(wrong)
