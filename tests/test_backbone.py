"""The frozen network: where it is cut, what it is filled with."""

from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from padim.backbone import Backbone
from padim.grids import Grid

SIZE = (64, 96)


def images(size: Grid = SIZE) -> torch.Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


def test_feature_maps_are_timms() -> None:
    backbone = Backbone("resnet18", (1, 2, 3), SIZE)
    whole = timm.create_model("resnet18", features_only=True, out_indices=(1, 2, 3)).eval()
    whole.load_state_dict(backbone.network.state_dict())  # the keys do not depend on how the network was cut
    for ours, theirs in zip(backbone(images()), whole(images()), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("name", "stages", "taps", "channels", "strides"),
    [
        ("resnet18", (1, 2, 3), None, [64, 128, 256], [4, 8, 16]),
        ("resnet18", (2, 3), None, [128, 256], [8, 16]),
        ("resnet18", (1,), None, [64], [4]),
        ("wide_resnet50_2", (1, 2, 3), None, [256, 512, 1024], [4, 8, 16]),
        ("convnext_atto", (1, 2, 3), None, [40, 80, 160], [4, 8, 16]),
        ("tf_efficientnet_b5", (1, 2, 3), ["blocks.1.3", "blocks.3.6", "blocks.4.5"], [40, 128, 176], [4, 16, 16]),
        ("tf_efficientnet_b5", (1, 3), ["blocks.1.3", "blocks.3.6", "blocks.4.5"], [40, 176], [4, 16]),
    ],
)
def test_channels_and_grids(
    name: str, stages: tuple[int, ...], taps: list[str] | None, channels: list[int], strides: list[int]
) -> None:
    backbone = Backbone(name, stages, SIZE, taps=taps)
    assert backbone.channels == channels
    assert backbone.grids == [(SIZE[0] // stride, SIZE[1] // stride) for stride in strides]
    for feature, c, grid in zip(backbone(images()), channels, backbone.grids, strict=True):
        assert feature.shape == (2, c, *grid)


def test_the_network_ends_at_its_last_tap() -> None:
    def parameters(*stages: int) -> int:
        return sum(p.numel() for p in Backbone("resnet18", stages, SIZE).parameters())

    assert parameters(1) < parameters(1, 2) < parameters(1, 2, 3) < 3e6  # of 11.7 million


def test_frozen_means_frozen() -> None:
    backbone = Backbone("resnet18", (1,), SIZE)
    before = backbone(images())[0]
    backbone.train()
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert torch.equal(backbone(images())[0], before)


def test_random_weights_depend_on_their_seed_alone() -> None:
    def first_weights(seed: int) -> torch.Tensor:
        return Backbone("resnet18", (1,), SIZE, seed=seed).network.conv1.weight

    torch.manual_seed(1)
    one = first_weights(0)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert torch.equal(one, first_weights(0))
    assert torch.equal(state, torch.random.get_rng_state())
    assert not torch.equal(one, first_weights(1))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_b5"])
def test_weights_from_a_file(tmp_path: Path, name: str, suffix: str) -> None:
    """Of the whole network, classifier and all, though only the trunk is needed."""
    taps = None if name == "resnet18" else ["blocks.1.3"]
    model, path = timm.create_model(name).eval(), tmp_path / f"weights{suffix}"
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(model.state_dict(), path)
    backbone = Backbone(name, (1,), SIZE, weights=str(path), taps=taps)
    own = backbone.network.state_dict()
    assert len(own) > 10
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in own.items())


def test_real_weights_have_no_missing_key(weights: Path) -> None:
    Backbone("resnet18", (1, 2, 3), SIZE, weights=str(weights))


def test_weights_of_another_network_name_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(timm.create_model("resnet34").state_dict(), path)
    with pytest.raises(ValueError, match=r"belongs to another network: layer1.2.conv1.weight is unknown.*such keys"):
        Backbone("resnet18", (1, 2, 3), SIZE, weights=str(path))
    with pytest.raises(ValueError, match=r"is missing|has shape"):
        Backbone("resnet50", (1, 2, 3), SIZE, weights=str(path))


def test_weights_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no file; allowed are imagenet, random or a path"):
        Backbone("resnet18", (1,), SIZE, weights="imagnet")
    (tmp_path / "weights.onnx").touch()
    with pytest.raises(ValueError, match=r"ends in '.onnx'; allowed are .safetensors and .pth"):
        Backbone("resnet18", (1,), SIZE, weights=str(tmp_path / "weights.onnx"))


def test_weights_that_are_nested_or_no_state_dict(tmp_path: Path) -> None:
    for content, found in (({"state_dict": {}, "epoch": 3}, "the keys state_dict, epoch"), (torch.zeros(2), "Tensor")):
        torch.save(content, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match=f"weights.pth holds {found}; it must be the state dict itself"):
            Backbone("resnet18", (1,), SIZE, weights=str(tmp_path / "weights.pth"))


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    torch.save(Payload(), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="cannot read the weights"):
        Backbone("resnet18", (1,), SIZE, weights=str(tmp_path / "weights.pth"))
    assert not (tmp_path / "executed").exists()


def test_without_network_imagenet_says_how_to_give_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"resnet18.tv_in1k .*backbone.weights=FILE.safetensors"):
        Backbone("resnet18", (1,), SIZE, weights="imagenet", tag="tv_in1k")


def test_without_weights_it_is_nan() -> None:
    assert Backbone("resnet18", (1,), SIZE, weights=None)(images())[0].isnan().all()


def test_bad_names() -> None:
    with pytest.raises(ValueError, match=r"timm has no network 'resnet19'"):
        Backbone("resnet19", (1,), SIZE)
    with pytest.raises(
        ValueError, match=r"layers \[0\] .*it has 1 \(layer1\), 2 \(layer2\), 3 \(layer3\), 4 \(layer4\)"
    ):
        Backbone("resnet18", (0,), SIZE)
    with pytest.raises(ValueError, match=r"layers \[2, 1\] are not ascending"):
        Backbone("resnet18", (2, 1), SIZE)
