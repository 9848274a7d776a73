"""What follows from a state is what the images themselves give."""

import pytest
import torch
from torch import Tensor

from padim import derivation, gaussian
from padim.derivation import State
from padim.embedding import Embedding
from padim.grids import Grid, plan_levels
from padim.reduction import make_reduction
from padim.statistics import Statistics
from tests import reference
from tests.reference import GRIDS
from tests.test_head import CHANNELS, feature_maps

IMAGES = 9
SMALL = [tuple((max(2, h // 4), max(2, w // 4)) for h, w in grids) for grids in GRIDS]
SMALL += [((15, 15), (8, 8), (4, 4)), ((9, 10), (5, 5), (3, 2))]


def counted(grids: tuple[Grid, ...], images: int = IMAGES) -> State:
    """A float64 state of all channels."""
    channels = CHANNELS[: len(grids)]
    embedding = Embedding(channels, grids, range(len(grids)), make_reduction("none", channels)).double()
    statistics = Statistics(embedding)
    for level in statistics.levels:
        level.double()
    statistics.fold(embedding([x.double() for x in feature_maps(grids, images)]), gaussian.update)
    return State(embedding.plan, embedding.widths, statistics.moments)


def embedded(grids: tuple[Grid, ...], state: State) -> Tensor:
    """(P, N, D) float64, channels in the order of the state."""
    maps = feature_maps(grids, IMAGES)
    order = [m for level in state.plan for m in level.maps]
    return reference.embed([maps[m] for m in order], [torch.arange(maps[m].shape[1]) for m in order])


@pytest.mark.parametrize("grids", SMALL)
def test_dense(grids: tuple[Grid, ...]) -> None:
    state = counted(grids)
    mean, scatter = reference.moments(embedded(grids, state))
    torch.testing.assert_close(derivation.dense(state, torch.arange(len(mean))), scatter)
    torch.testing.assert_close(state.moments[-1].mean, mean)


@pytest.mark.parametrize("grids", SMALL)
def test_total_is_the_scatter_of_all_positions_as_images(grids: tuple[Grid, ...]) -> None:
    state = counted(grids)
    x = embedded(grids, state).flatten(0, 1)[None]
    mean, scatter = reference.moments(x)
    found_scatter, found_mean, count = derivation.total(state)
    assert count == x.shape[1]
    torch.testing.assert_close(found_mean, mean[0])
    torch.testing.assert_close(found_scatter, scatter[0])


@pytest.mark.parametrize("pool", [1, 3, 5, 9])
@pytest.mark.parametrize("grids", SMALL)
def test_pooled_is_the_scatter_of_the_neighbours_as_images(grids: tuple[Grid, ...], pool: int) -> None:
    state = counted(grids)
    height, width = state.plan[-1].grid
    x = embedded(grids, state).unflatten(0, (height, width))
    positions = torch.tensor([0, 1, width - 1, height * width // 2, height * width - 1])
    scatter, mean, count = derivation.pooled(state, positions, pool)
    for i, position in enumerate(positions.tolist()):
        row, column = divmod(position, width)
        rows, columns = (slice(max(0, c - pool // 2), c + pool // 2 + 1) for c in (row, column))
        expected_mean, expected_scatter = reference.moments(x[rows, columns].flatten(0, 2)[None])
        assert count[i] == x[rows, columns].flatten(0, 2).shape[0]
        torch.testing.assert_close(mean[i], expected_mean[0])
        torch.testing.assert_close(scatter[i], expected_scatter[0])


@pytest.mark.parametrize("grids", SMALL)
def test_mixing(grids: tuple[Grid, ...]) -> None:
    state = counted(grids)
    generator = torch.Generator().manual_seed(1)
    matrices = {m: torch.randn(CHANNELS[m], 4, generator=generator, dtype=torch.float64) for m in range(len(grids))}
    order = [m for level in state.plan for m in level.maps]
    expected = reference.moments(embedded(grids, state) @ torch.cat([matrices[m] for m in order]))
    (moments,) = derivation.mix(state, matrices).moments
    torch.testing.assert_close((moments.mean, moments.scatter), expected)


@pytest.mark.parametrize("maps", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("grids", [grids for grids in SMALL if len(grids) == 3])
def test_fewer_layers_and_other_channels(grids: tuple[Grid, ...], maps: tuple[int, ...]) -> None:
    """Wherever the levels cover those of the layers that are kept."""
    state = counted(grids)
    plan = plan_levels({m: grids[m] for m in maps})
    if not derivation.covers(state.plan, plan):
        assert {level.grid for level in plan} - {level.grid for level in state.plan}  # a level that is folded here
        pytest.skip("these layers have levels that the state has not")
    generator = torch.Generator().manual_seed(1)
    matrices = {m: torch.randn(CHANNELS[m], 3, generator=generator, dtype=torch.float64) for m in maps}
    projected = derivation.project(state, matrices, plan)
    order = [m for level in plan for m in level.maps]
    features = [feature_maps(grids, IMAGES)[m] for m in order]
    x = reference.embed(features, [torch.arange(feature.shape[1]) for feature in features])
    expected = reference.moments(x @ torch.block_diag(*[matrices[m] for m in order]))
    everywhere = torch.arange(plan[-1].positions)
    torch.testing.assert_close(projected.moments[-1].mean, expected[0])
    torch.testing.assert_close(derivation.dense(projected, everywhere), expected[1])
