"""The channel draw."""

import pytest
import torch

from padim.reduction import Projection, draw_channels

CHANNELS = [64, 128, 256]


def flat(kept: list[torch.Tensor]) -> list[tuple[int, int]]:
    return [(i, c) for i, index in enumerate(kept) for c in index.tolist()]


def test_draws_without_replacement_over_all_maps() -> None:
    kept = draw_channels("random", CHANNELS, 100, seed=0)
    assert len(set(flat(kept))) == 100
    assert all(0 <= c < CHANNELS[i] for i, c in flat(kept))
    assert all(torch.equal(index, index.sort().values) for index in kept)


def test_every_channel_is_as_likely() -> None:
    counts = torch.zeros(3)
    for seed in range(200):
        counts += torch.tensor([len(index) for index in draw_channels("random", CHANNELS, 100, seed)])
    torch.testing.assert_close(counts / counts.sum(), torch.tensor(CHANNELS) / 448, rtol=0, atol=0.01)


def test_the_seed_alone_decides() -> None:
    torch.manual_seed(1)
    first = draw_channels("random", CHANNELS, 100, seed=7)
    torch.manual_seed(2)
    assert flat(first) == flat(draw_channels("random", CHANNELS, 100, seed=7))
    assert flat(first) != flat(draw_channels("random", CHANNELS, 100, seed=8))


def test_drawing_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    draw_channels("random", CHANNELS, 100, seed=7)
    assert torch.equal(before, torch.random.get_rng_state())


def test_all_channels() -> None:
    everything = [(i, c) for i, n in enumerate(CHANNELS) for c in range(n)]
    assert flat(draw_channels("none", CHANNELS, None, 0)) == everything
    assert flat(draw_channels("random", CHANNELS, 448, 0)) == everything


@pytest.mark.parametrize("dim", [None, 0, -1, 449])
def test_impossible_dimensions(dim: int | None) -> None:
    with pytest.raises(ValueError, match=r"cannot keep .* of 448 channels .*choose reduction.dim between 1 and 448"):
        draw_channels("random", CHANNELS, dim, 0)


def test_a_dimension_without_a_reduction() -> None:
    with pytest.raises(ValueError, match="keeps all 448 channels; leave dim=100 out"):
        draw_channels("none", CHANNELS, 100, 0)


def test_unknown_reduction_lists_the_known() -> None:
    with pytest.raises(ValueError, match="unknown reduction 'pca'; known are none, random"):
        draw_channels("pca", CHANNELS, 10, 0)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kept", [[1, 4], [], [0, 1, 2, 3, 4]])
def test_projection_is_indexing(kept: list[int], memory_format: torch.memory_format) -> None:
    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    vectors = Projection(5, torch.tensor(kept, dtype=torch.long))(features)
    assert torch.equal(vectors, features[:, kept].flatten(2).permute(2, 0, 1))  # to the bit
