"""A network without batch norms is the one with them, whatever is loaded into it and wherever it goes."""

import pytest
import torch
from torch import Tensor, nn

from padim.backbone import Backbone
from padim.folding import folded, is_foldable

SIZE = (64, 64)


def backbone(name: str = "resnet18", seed: int = 0, weights: str | None = "random") -> Backbone:
    made = Backbone(name, (1, 2, 3), SIZE, weights, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in made.modules():  # those of a network that was trained: neither 0 nor 1
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return made


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(9)).to(dtype)


def plainly(network: Backbone, x: Tensor) -> list[Tensor]:
    """Without folding."""
    return network.network.forward_intermediates(x, indices=network.indices, intermediates_only=True)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize(
    ("name", "left"), [("resnet18", 0), ("wide_resnet50_2", 0), ("seresnet50", 0), ("test_resnet", 1), ("resnet26t", 1)]
)
def test_folding_changes_nothing(name: str, left: int, dtype: torch.dtype, rtol: float) -> None:
    """One batch norm is left where it follows a stem of three convolutions."""
    network = backbone(name).to(dtype)
    assert sum(isinstance(one, nn.BatchNorm2d) for one in folded(network.network).modules()) == left
    for found, expected in zip(network(images(dtype)), plainly(network, images(dtype)), strict=True):
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))


@pytest.mark.parametrize("assign", [True, False])
def test_what_is_loaded_later_counts(assign: bool) -> None:
    """Alone, or as a part of another module."""
    network = backbone(seed=0)
    network(images())
    for seed, module in ((1, network), (2, nn.ModuleList([network]))):
        other = backbone(seed=seed)
        state = other.state_dict() if module is network else nn.ModuleList([other]).state_dict()
        module.load_state_dict(state, assign=assign)
        torch.testing.assert_close(network(images()), other(images()))


def test_the_state_is_that_of_the_network_with_its_batch_norms() -> None:
    network = backbone()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(images())
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_type_may_change() -> None:
    network = backbone()
    network(images())
    assert network.double()(images(torch.float64))[0].dtype == torch.float64


def test_inference_mode_leaves_nothing_behind() -> None:
    network = backbone()
    with torch.inference_mode():
        network(images())
    torch.testing.assert_close(network(images()), backbone()(images()))


def test_networks_of_unknown_order_are_left_alone() -> None:
    assert not is_foldable(backbone("efficientnet_b0").network)
