"""The frozen network: where it is cut, what it gives, what it refuses."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import timm
import torch
import yaml

from padim.backbone import Backbone, native_size
from padim.commands import CONF
from padim.execution import Execution
from padim.grids import Grid
from padim.taps import cut

SIZE = (64, 96)
CONFIGS = sorted((Path(CONF) / "backbone").glob("*.yaml"))
LARGE = {"wide_resnet50_2", "wide_resnet101_2", "tf_efficientnetv2_m"}  # too large to draw in a test


def images(size: Grid = SIZE) -> torch.Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configs_header_tells_the_truth(path: Path) -> None:
    """Channels, strides, licence of the weights."""
    text = path.read_text()
    config, header = yaml.safe_load(text), " ".join(re.findall("^# (.*)", text, re.MULTILINE))
    channels, strides = re.search(r"([\d, ]+) channels at strides ([\d, ]+)", header).groups()
    side = 112 if "dinov2" in path.stem else 96
    backbone = Backbone(
        stages=(1, 2, 3), image_size=(side, side), **config | ({"weights": None} if path.stem in LARGE else {})
    )
    assert ", ".join(map(str, backbone.channels)) == channels.strip()
    assert ", ".join(str(side // height) for height, _ in backbone.grids) == strides.strip()
    weights = timm.get_pretrained_cfg(f"{config['name']}.{config['tag']}")
    assert weights.has_weights
    assert f"({weights.license})" in header.lower()


HOOKED = [
    ("resnet18", (1, 2, 3), ["layer1", "layer2", "layer3"], SIZE),
    ("resnet18", (2, "layer4"), ["layer2", "layer4"], SIZE),
    ("resnet18", ("layer1.0", 2, "layer3.0.conv1"), ["layer1.0", "layer2", "layer3.0.conv1"], SIZE),
    ("resnet18", ("layer3.0", 3), ["layer3.0", "layer3"], SIZE),
    ("resnetblur18", ("layer1.0", "layer2.0"), ["layer1.0", "layer2.0"], SIZE),
    ("test_efficientnet", (1, 3), ["blocks.1", "blocks.3"], SIZE),
    ("test_efficientnet", ("blocks.1.0", "blocks.2"), ["blocks.1.0", "blocks.2"], SIZE),
    ("test_convnext", (1, 2, 3), ["stages.0", "stages.1", "stages.2"], SIZE),
    ("test_maxvit", (1, 2), ["stages.0", "stages.1"], (64, 64)),
    ("test_vit", ("blocks.0", "blocks.2"), ["blocks.0", "blocks.2"], SIZE),
    ("test_vit", (3,), ["blocks.5"], SIZE),
    ("vit_small_patch14_dinov2", ("blocks.2", "blocks.5"), ["blocks.2", "blocks.5"], (56, 84)),
    ("swin_tiny_patch4_window7_224", (1, 2), ["layers.0", "layers.1"], (56, 84)),
]


@pytest.mark.parametrize(("name", "stages", "modules", "size"), HOOKED)
def test_the_cut_network_gives_what_the_whole_one_computes(
    name: str, stages: tuple[int | str, ...], modules: list[str], size: Grid
) -> None:
    """And keeps its names: a state dict does not tell how the network was cut."""
    backbone, whole = Backbone(name, stages, size, seed=1), drawn(name, size, seed=1)
    assert backbone.taps == modules
    outputs: list[torch.Tensor] = []
    for module in modules:
        whole.get_submodule(module).register_forward_hook(lambda *args: outputs.append(args[-1]))
    whole(images(size))
    maps = backbone(images(size))
    for feature, output, channels, grid in zip(maps, outputs, backbone.channels, backbone.grids, strict=True):
        torch.testing.assert_close(feature, channels_first(name, output, grid))
        assert feature.shape == (2, channels, *grid)
    state, names = backbone.network.state_dict(), whole.state_dict()
    assert state.keys() <= names.keys()
    assert all(value.shape == names[key].shape for key, value in state.items())


def drawn(name: str, size: Grid, seed: int) -> torch.nn.Module:
    options = {"img_size": size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(name, **options).eval()


def channels_first(name: str, output: torch.Tensor, grid: Grid) -> torch.Tensor:
    if "swin" in name:
        return output.permute(0, 3, 1, 2)
    if "vit_" in f"{name}_" and output.ndim == 3:  # a class token, then one for each patch
        return output[:, 1:].transpose(1, 2).unflatten(2, grid)
    return output


@pytest.mark.parametrize("name", ["resnet18", "test_efficientnet", "test_convnext"])
def test_either_cut_ends_at_the_last_tap(name: str) -> None:
    """Through the network's own feature maps, and through its graph: an inner tap makes the difference."""
    inner = {"resnet18": "layer1.0", "test_efficientnet": "blocks.1.0", "test_convnext": "stages.0.blocks.0"}[name]
    by_stage, by_graph = Backbone(name, (3,), SIZE), Backbone(name, (inner, 3), SIZE)
    by_stage.execution = Execution(channels_last=False, fold_batch_norm=False)  # as graphs run
    assert by_stage.network.state_dict().keys() == by_graph.network.state_dict().keys()
    assert torch.equal(by_stage(images())[0], by_graph(images())[1])


def test_a_transformer_ends_at_its_last_block() -> None:
    state = Backbone("test_vit", ("blocks.0", "blocks.2"), (64, 64)).network.state_dict()
    assert {key.split(".")[1] for key in state if key.startswith("blocks.")} == {"0", "1", "2"}
    assert not any(key.startswith(("norm.", "head.")) for key in state)


def test_native_size() -> None:
    assert native_size("resnet18", "tv_in1k") == (224, 224)
    assert native_size("tf_efficientnet_b5", "aa_in1k") == (456, 456)
    assert native_size("vit_small_patch14_dinov2", "lvd142m") == (518, 518)
    assert native_size("tf_efficientnetv2_m") == (384, 384)


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


@pytest.mark.parametrize("taps", [(1, 2), ("layer1.0", "layer2.0")])
def test_a_copy_is_the_same(taps: tuple[int | str, ...]) -> None:
    backbone = Backbone("resnet18", taps, SIZE)
    duplicate = deepcopy(backbone)
    assert not any(module.training for module in duplicate.modules())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(duplicate(images()), backbone(images()), strict=True))


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


def refuses(match: str, name: str, *stages: int | str, size: Grid = SIZE, **options: object) -> None:
    with pytest.raises(ValueError, match=match):
        Backbone(name, stages, size, weights=None, **options)


def test_unknown_names_suggest_those_there_are() -> None:
    refuses("timm has no network 'resnet19'; close are resnet1", "resnet19", 1)
    refuses(r"timm has no network 'qqq'; timm.list_models\('\*resnet\*'\) lists some", "qqq", 1)
    refuses("no weights 'tv_in1k' of convnext_tiny; .*tag may be .*fb_in1k.* null", "convnext_tiny", 1, tag="tv_in1k")
    with pytest.raises(ValueError, match="timm has no network 'resnet19'"):
        native_size("resnet19")


def test_layers_that_are_not_there() -> None:
    known = r"it has 1 \(layer1\), 2 \(layer2\), 3 \(layer3\), 4 \(layer4\); by name, among others"
    refuses(
        rf"layers \[0\] are not in the network: no 0; {known}, act1, layer1, layer2, layer3, layer4$", "resnet18", 0
    )
    refuses(rf"layers \[\] are not in the network; {known}", "resnet18")
    refuses(f"no 'layer5'; {known}, layer4, layer3, layer2", "resnet18", 1, "layer5")
    refuses(r"no 'layer1\.0\.ad'; .*, layer1\.0\.add", "resnet18", "layer1.0.ad")
    refuses(r"no 'blocks\.9\.1'", "tf_efficientnet_b5", 2, taps=["blocks.1.3", "blocks.9.1"])
    by_name = r"no 1; it has none by number; by name, .* blocks\.0, .*, blocks\.11$"
    refuses(by_name, "vit_small_patch14_dinov2", 1, size=(56, 56))


def test_layers_out_of_order() -> None:
    refuses(r"\['layer2', 'layer1'\] are not ascending, each once; give \[layer1, layer2\]", "resnet18", 2, 1)
    refuses(r"\['layer1', 'layer1'\] are not ascending, each once; give \[layer1\]", "resnet18", 1, 1)
    refuses(r"are not ascending, each once; give \[layer1.0, layer2.0\]", "resnet18", "layer2.0", "layer1.0")
    refuses(r"are not ascending, each once; give \[layer3\]", "resnet18", "layer3.1", 3)  # which is its end


@pytest.mark.parametrize(
    ("name", "tap"),
    [("test_vit", "blocks.1.mlp"), ("test_convnext", "stages.1.blocks.0.norm"), ("resnet18", "global_pool")],
)
def test_tensors_that_are_no_feature_maps(name: str, tap: str) -> None:
    refuses(
        rf"{tap} gives a tensor of shape \(1, .*no feature map \(B, C, h, w\) of 64x96 pixels; tap a block", name, tap
    )


def test_a_network_that_cannot_be_cut_just_anywhere() -> None:
    match = r"cannot be cut at layers.1.blocks.0 .*; it can be at layers.0, layers.1, layers.2"
    refuses(match, "swin_tiny_patch4_window7_224", "layers.1.blocks.0", size=(56, 56))


def test_a_network_without_feature_maps() -> None:
    with pytest.raises(
        ValueError, match=r"timm's Flatten gives no feature maps; such as resnet18, .* names all others"
    ):
        cut(torch.nn.Flatten(), ["layer1"])


def test_images_that_do_not_divide_into_patches() -> None:
    match = r"image_size=\[56, 64\] does not divide into .* 14x14; .* multiples, such as \[56, 56\] and \[56, 70\]"
    refuses(match, "vit_small_patch14_dinov2", "blocks.2", size=(56, 64))


def test_images_that_a_network_cannot_take() -> None:
    match = r"nest_tiny cannot take images of 64x96 pixels \(.+\); it was trained on dataset.image_size=\[224,224\]"
    refuses(match, "nest_tiny", 2, size=(64, 96))


def test_operations_are_taps_too() -> None:
    """Such as the sum before a block's last activation."""
    before, after = (Backbone("resnet18", (tap,), SIZE)(images())[0] for tap in ("layer1.0.add", "layer1.0"))
    assert torch.equal(before.relu(), after)


def test_a_tap_is_not_overwritten_by_what_follows() -> None:
    """ResNet's activations work in place."""
    alone, followed = (Backbone("resnet18", ("layer1.0.bn1", *more), SIZE) for more in ((), ("layer1.1",)))
    assert torch.equal(alone(images())[0], followed(images())[0])
