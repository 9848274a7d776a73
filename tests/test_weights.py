"""What the network is filled with: random weights, the hub's, those of a file."""

import math
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from padim.backbone import Backbone
from padim.grids import Grid

SIZE = (64, 96)


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224"])
def test_a_network_is_drawn_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """For its shapes it is built without memory. Swin's buffers, which no file holds, come from the same draw."""
    build, built_on = timm.create_model, []

    def spy(*args: object, **kwargs: object) -> torch.nn.Module:
        built_on.append(torch.get_default_device().type)
        return build(*args, **kwargs)

    monkeypatch.setattr(timm, "create_model", spy)
    Backbone(name, (1, 2), SIZE)
    assert built_on == ["meta", "cpu"]


@pytest.mark.parametrize(
    ("name", "taps", "key", "first", "total"),
    [
        ("resnet18", None, "layer3.1.conv2.weight", 0.0241096746, 11.955734015),
        ("wide_resnet50_2", None, "layer3.5.conv3.weight", -0.0313015319, 52.013237566),
        (
            "tf_efficientnet_b5",
            ["blocks.1.3", "blocks.3.6", "blocks.4.5"],
            "blocks.4.5.conv_pwl.weight",
            0.0489286520,
            -11.922204571,
        ),
    ],
)
def test_random_weights_stay_what_they_were(
    name: str, taps: list[str] | None, key: str, first: float, total: float
) -> None:
    """The README's figures depend on them. First weight, and sum of the last convolution's, of padim 0.1.0, seed 0."""
    state = Backbone(name, (1, 2, 3), SIZE, taps=taps).network.state_dict()
    assert next(iter(state.values())).flatten()[0].item() == pytest.approx(first, rel=1e-5)
    assert state[key].double().sum().item() == pytest.approx(total, rel=1e-5)


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
        with pytest.raises(ValueError, match=rf"weights.pth \(it holds {found}\); give the state dict itself"):
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
    assert Backbone("resnet18", (1,), SIZE, weights=None)(torch.rand(2, 3, *SIZE))[0].isnan().all()


@pytest.mark.parametrize("name", ["test_vit", "test_maxvit", "test_efficientnet"])
def test_an_empty_network_is_filled_by_the_state_of_its_twin(name: str) -> None:
    """Whatever no state dict holds is there already."""
    size = (64, 64)
    taps = ["blocks.1"] if name == "test_vit" else [1, 2]
    twin, backbone = Backbone(name, taps, size), Backbone(name, taps, size, weights=None)
    backbone.load_state_dict(twin.state_dict())
    images = torch.rand(2, 3, *size)
    for ours, theirs in zip(backbone(images), twin(images), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("size", [(160, 160), (64, 64), (64, 96), (80, 320)])
def test_position_embedding_of_another_image_size(tmp_path: Path, size: Grid) -> None:
    """From the square grid of the file to that of the images, even where both have as many positions: (80, 320)."""
    path, whole = tmp_path / "vit.safetensors", timm.create_model("test_vit")  # of 160x160 pixels: 10x10 positions
    safetensors.torch.save_file(whole.state_dict(), path)
    backbone = Backbone("test_vit", ["blocks.1"], size, weights=str(path))
    prefix, positions = whole.pos_embed.detach().tensor_split([1], dim=1)
    square = positions.reshape(1, 10, 10, -1).permute(0, 3, 1, 2)
    resampled = torch.nn.functional.interpolate(square, [s // 16 for s in size], mode="bicubic", antialias=True)
    expected = torch.cat([prefix, resampled.flatten(2).transpose(1, 2)], dim=1)
    torch.testing.assert_close(backbone.network.pos_embed, expected)
    assert all(math.isfinite(value) for value in backbone(torch.rand(1, 3, *size))[0].flatten().tolist())


def test_dinov2s_own_file_has_a_mask_token(tmp_path: Path) -> None:
    state = timm.create_model("test_vit").state_dict()
    torch.save(state | {"mask_token": torch.zeros(1, 64)}, tmp_path / "vit.pth")
    Backbone("test_vit", ["blocks.1"], (64, 64), weights=str(tmp_path / "vit.pth"))
    torch.save(state | {"pos_embed": torch.zeros(1, 8, 64)}, tmp_path / "vit.pth")
    with pytest.raises(ValueError, match=r"pos_embed has shape \(1, 8, 64\), not \(1, 17, 64\)"):
        Backbone("test_vit", ["blocks.1"], (64, 64), weights=str(tmp_path / "vit.pth"))
