"""However the backbone computes, its feature maps are the network's; only bfloat16 is allowed more than rounding."""

import pickle
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from padim.backbone import Backbone
from padim.baselines.vae import Encoder
from padim.commands import CONF, ablate, evaluate, train
from padim.commands.execution import settle_execution
from padim.data.synthetic import generate
from padim.execution import Execution, Forward, feature_maps
from padim.extractor import Extractor
from tests.commands.test_run import rows
from tests.commands.test_run import run as run_command

SIZE = (64, 64)
NETWORKS = {  # folded, not folded, a transformer, a graph
    "resnet18": (1, 2, 3),
    "test_efficientnet": (1, 2),
    "test_vit": ("blocks.0", "blocks.2"),
    "resnet34": ("layer1.0.conv1", "layer2"),
}
compiled = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


def images() -> Tensor:
    return torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def run(name: str, execution: Execution) -> list[Tensor]:
    backbone = Backbone(name, NETWORKS[name], SIZE)
    backbone.execution = execution
    with torch.inference_mode():
        return backbone(images().contiguous(memory_format=execution.memory_format))


def reference(name: str) -> list[Tensor]:
    """The plain network in float64."""
    backbone = Backbone(name, NETWORKS[name], SIZE).double()
    return feature_maps(backbone.network, backbone.indices)(images().double())


def error(name: str, execution: Execution) -> float:
    """Largest of all feature maps, of their norm."""
    pairs = zip(run(name, execution), reference(name), strict=True)
    return max(float((found - expected).norm() / expected.norm()) for found, expected in pairs)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("fold_batch_norm", [False, True])
def test_choices_change_rounding_alone(name: str, channels_last: bool, fold_batch_norm: bool) -> None:
    assert error(name, Execution(channels_last, fold_batch_norm)) < 1e-5


@pytest.mark.parametrize("channels_last", [False, True])
def test_images_come_in_the_chosen_layout(channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone("resnet18", (1,), SIZE)
    backbone.execution = Execution(channels_last)
    seen: list[Tensor] = []
    monkeypatch.setattr(backbone, "_forward", lambda images: seen.append(images) or [images])
    Extractor(backbone).features(torch.zeros(2, 3, *SIZE, dtype=torch.uint8))
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == channels_last
    assert seen[0].is_contiguous() != channels_last


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_is_computed_in_it_and_handed_out_in_float32(name: str) -> None:
    assert 1e-4 < error(name, Execution(bfloat16=True)) < 2e-2
    assert {each.dtype for each in run(name, Execution(bfloat16=True))} == {torch.float32}


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_networks_are_the_networks(name: str) -> None:
    assert error(name, Execution(compile=True)) < 1e-5


@compiled
@pytest.mark.slow
def test_a_compiled_network_takes_batches_of_any_size() -> None:
    backbone, plain = Backbone("resnet18", (1,), SIZE), Backbone("resnet18", (1,), SIZE)
    backbone.execution = Execution(compile=True)
    for count in (3, 1, 2, 5):
        batch = images()[:1].repeat(count, 1, 1, 1)
        torch.testing.assert_close(backbone(batch), plain(batch), rtol=1e-4, atol=1e-5)


def test_a_choice_counts_at_once_and_leaves_the_state_alone() -> None:
    backbone = Backbone("resnet18", (1,), SIZE)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    (first,) = backbone(images())
    backbone.execution = Execution(bfloat16=True)
    (second,) = backbone(images())
    backbone.execution = Execution()
    (third,) = backbone(images())
    assert torch.equal(first, third)
    assert not torch.equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("copy", [deepcopy, lambda backbone: pickle.loads(pickle.dumps(backbone))])
def test_a_copy_runs_by_its_own_network(copy: Callable[[Backbone], Backbone]) -> None:
    backbone = Backbone("resnet18", (1,), SIZE)
    (expected,) = backbone(images())
    own = copy(backbone)
    backbone.network.conv1.weight.zero_()
    own.network.conv1.weight.neg_()
    (found,) = own(images())
    assert not torch.equal(found, expected)
    assert found.std() > 0


def test_the_defaults_are_those_of_the_configuration() -> None:
    assert OmegaConf.load(Path(CONF) / "execution" / "default.yaml") == Execution()._asdict()


def test_the_configuration_reaches_every_backbone() -> None:
    module = nn.ModuleList([Extractor(Backbone("resnet18", (1,), SIZE)), nn.Linear(2, 2)])
    settle_execution(OmegaConf.create({"bfloat16": True, "channels_last": False}), module)
    assert module[0].backbone.execution == Execution(channels_last=False, bfloat16=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Execution]:
    """What networks run by, as soon as they do."""
    found: list[Execution] = []
    prepared = Execution.prepared

    def noted(self: Execution, network: nn.Module, indices: list[int] | None) -> Forward:
        found.append(self)
        return prepared(self, network, indices)

    monkeypatch.setattr(Execution, "prepared", noted)
    return found


def test_every_command_hands_it_on(made: list[Execution], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path / "board", "board", 0, 4, 1, 1)
    tiny = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", f"dataset.root={tmp_path}"]
    commands = {
        train.main: tiny,
        evaluate.main: [f"checkpoint={tmp_path}/train/padim.ckpt"],
        ablate.main: [*tiny, "+heads.a={layers: l1, reduction: none}"],
    }
    for name, (main, options) in zip(("train", "evaluate", "ablate"), commands.items(), strict=True):
        run_command(monkeypatch, main, *options, "execution.bfloat16=true", f"output_dir={tmp_path / name}")
        assert made == [Execution(bfloat16=True)], f"{name}: once, whatever the trainer moves"
        made.clear()


@compiled
@pytest.mark.slow
def test_a_compiled_run_is_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a fit, with batches of two sizes, to a test and the pictures of its page."""
    generate(tmp_path / "board", "board", 0, 6, 2, 1)
    tiny = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", f"dataset.root={tmp_path}", "data.batch_size=4"]
    scores = []
    for answer in ("false", "true"):
        folder = tmp_path / answer
        run_command(monkeypatch, train.main, *tiny, f"execution.compile={answer}", f"output_dir={folder}/run")
        scores.append([float(row["score"]) for row in rows(folder / "run" / "predictions.csv")])
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)


def test_what_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"execution.compile=maybe; allowed are true and false"):
        settle_execution(OmegaConf.create({"compile": "maybe"}), Backbone("resnet18", (1,), SIZE))


@pytest.mark.parametrize(
    "model", [nn.Linear(2, 2), Encoder("resnet18", (1,), SIZE), None], ids=["linear", "vae", "graph"]
)
def test_models_without_a_frozen_backbone_refuse_choices(model: nn.Module | None) -> None:
    """That of a VAE learns."""
    settle_execution(OmegaConf.create(Execution()._asdict()), model)
    with pytest.raises(ValueError, match=r"execution.bfloat16: no frozen backbone of torch is in this model"):
        settle_execution(OmegaConf.create({"bfloat16": True}), model)
