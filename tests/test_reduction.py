"""Constants that shorten the embedding."""

import numpy as np
import pytest
import torch

from padim.reduction import NAMES, Projection, Reduction, make_reduction, principal_axes

CHANNELS = [64, 128, 256]
DRAWN = ["random", "semi_orthogonal", "semi_orthogonal_blocks"]


def kept(reduction: Reduction) -> list[tuple[int, int]]:
    """The (map, channel) that each column picks; every column must pick exactly one."""
    pairs = []
    for m, matrix in enumerate(reduction.matrices):
        assert torch.equal(matrix.sum(0), torch.ones(matrix.shape[1]))
        assert torch.equal(matrix.count_nonzero(0), torch.ones(matrix.shape[1], dtype=torch.long))
        pairs += [(m, c) for c in matrix.argmax(0).tolist()]
    return pairs


def test_draws_without_replacement_over_all_maps() -> None:
    pairs = kept(make_reduction("random", CHANNELS, 100))
    assert len(set(pairs)) == 100
    assert pairs == sorted(pairs)


def test_every_channel_is_as_likely() -> None:
    counts = torch.zeros(3)
    for seed in range(200):
        counts += torch.tensor([matrix.shape[1] for matrix in make_reduction("random", CHANNELS, 100, seed).matrices])
    torch.testing.assert_close(counts / counts.sum(), torch.tensor(CHANNELS) / 448, rtol=0, atol=0.01)


@pytest.mark.parametrize("name", DRAWN)
def test_the_seed_alone_decides(name: str) -> None:
    torch.manual_seed(1)
    first = make_reduction(name, CHANNELS, 100, seed=7)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    with torch.device("meta"):
        second = make_reduction(name, CHANNELS, 100, seed=7)
    other = make_reduction(name, CHANNELS, 100, seed=8)
    assert all(torch.equal(*pair) for pair in zip(first.matrices, second.matrices, strict=True))
    assert not all(
        one.shape == two.shape and torch.equal(one, two)
        for one, two in zip(first.matrices, other.matrices, strict=True)
    )
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())


def test_all_channels() -> None:
    everything = [(i, c) for i, n in enumerate(CHANNELS) for c in range(n)]
    assert kept(make_reduction("none", CHANNELS)) == everything
    assert kept(make_reduction("random", CHANNELS, 448)) == everything


@pytest.mark.parametrize("dim", [1, 100, 448])
def test_semi_orthogonal_columns_are_orthonormal(dim: int) -> None:
    """All together where the layers mix, and for each layer where they do not."""
    full = make_reduction("semi_orthogonal", CHANNELS, dim)
    assert full.mixes
    assert [matrix.shape for matrix in full.matrices] == [(size, dim) for size in CHANNELS]
    torch.testing.assert_close(sum(matrix.T @ matrix for matrix in full.matrices), torch.eye(dim), rtol=0, atol=1e-6)

    blocks = make_reduction("semi_orthogonal_blocks", CHANNELS, dim)
    assert not blocks.mixes
    assert sum(matrix.shape[1] for matrix in blocks.matrices) == dim
    for matrix in blocks.matrices:
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(matrix.shape[1]), rtol=0, atol=1e-6)


def test_blocks_share_the_dimensions_by_their_channels() -> None:
    widths = [matrix.shape[1] for matrix in make_reduction("semi_orthogonal_blocks", CHANNELS, 100).matrices]
    assert widths == [14, 29, 57]


def test_semi_orthogonal_is_uniform() -> None:
    """No direction is preferred: each entry has mean 0 and variance 1 / D."""
    entries = torch.stack(
        [make_reduction("semi_orthogonal", [3, 5], 2, seed).matrices[1].flatten() for seed in range(2000)]
    )
    assert entries.mean(0).abs().max() < 4 * (1 / 8 / 2000) ** 0.5
    torch.testing.assert_close(entries.var(0), torch.full((10,), 1 / 8), rtol=0.15, atol=0)


def test_principal_axes() -> None:
    """Against the singular vectors of the data."""
    x = torch.randn(50, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = (x - x.mean(0)) * torch.arange(1, 9)
    directions = torch.linalg.svd(x).Vh.mT  # by falling variance
    for name, expected in (("pca", directions[:, :3]), ("npca", directions[:, -3:])):
        axes = principal_axes(name, x.mT @ x, 3)
        torch.testing.assert_close(axes @ axes.mT, expected @ expected.mT)  # the same space


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
@pytest.mark.parametrize("dim", [None, 0, -1, 449, True])
def test_impossible_dimensions(name: str, dim: object) -> None:
    with pytest.raises(
        ValueError, match=r"cannot keep .* of 448 channels .*choose a whole reduction.dim between 1 and 448"
    ):
        make_reduction(name, CHANNELS, dim)


def test_a_whole_number_of_another_library_counts() -> None:
    """It once matched no case, and nothing was reduced."""
    for name in NAMES[1:]:
        assert make_reduction(name, CHANNELS, np.int64(20)).matrices[0].shape[1] < 64


def test_a_dimension_without_a_reduction() -> None:
    with pytest.raises(ValueError, match="keeps all 448 channels; leave dim=100 out"):
        make_reduction("none", CHANNELS, 100)


def test_unknown_reduction_lists_the_known() -> None:
    with pytest.raises(ValueError, match="unknown reduction 'lda'; known are none, random, semi_orthogonal, "):
        make_reduction("lda", CHANNELS, 10)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kept", [[1, 4], [], [0, 1, 2, 3, 4]])
def test_projection_is_indexing(kept: list[int], memory_format: torch.memory_format) -> None:
    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    vectors = Projection(torch.eye(5)[:, kept])(features)
    assert torch.equal(vectors, features[:, kept].flatten(2).permute(2, 0, 1))  # to the bit
