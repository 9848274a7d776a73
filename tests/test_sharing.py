"""Heads that share statistics are the heads that have their own."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from padim.cells import Cell, expand
from padim.covariance import NAMES as COVARIANCES
from padim.embedding import Embedding
from padim.gaussian import NotPositiveDefiniteError
from padim.grids import Grid
from padim.head import Head
from padim.heads import Heads, build_head, split
from padim.reduction import NAMES as REDUCTIONS
from padim.reduction import Reduction, make_reduction
from padim.sharing import HeadFactory
from padim.statistics import Statistics
from tests.test_head import CHANNELS, SIZE, feature_maps

GRIDS = [((16, 16), (8, 8), (4, 4)), ((15, 14), (8, 7), (4, 4)), ((12, 12), (5, 5), (5, 5))]
STAGES, MAP = (1, 2, 3), {"sigma": 4.0, "interpolation": "bicubic"}
LAYERS = ["l1", "l3", "l13", "l23", "l123", "sum123"]
MIXING = ("semi_orthogonal", "pca", "npca")
CELLS = [
    Cell(layers, reduction, None if reduction == "none" else 6, covariance, pool)
    for layers, reduction, covariance, pool in product(LAYERS, REDUCTIONS, COVARIANCES, (1, 3, "all"))
    if not (layers.startswith("sum") and reduction in MIXING)
]


def factory(grids: tuple[Grid, ...]) -> HeadFactory:
    return HeadFactory(CHANNELS, grids, STAGES, SIZE, MAP)


def alone(cell: Cell, grids: tuple[Grid, ...], save_state: bool = False) -> Any:
    """As padim-train makes it: of the feature maps that it needs and no others."""
    channels, own_grids = zip(*[(CHANNELS[s - 1], grids[s - 1]) for s in cell.stages], strict=True)
    reduction = make_reduction(cell.reduction, channels, cell.dim, cell.seed)

    def make(**part: Any) -> Head:
        return Head(channels, own_grids, SIZE, covariance=cell.estimate, save_state=save_state, **part)

    return build_head(cell.combine, split(cell.combine, range(len(channels)), reduction), make)


def fitted(heads: Any, features: list[torch.Tensor], others: list[torch.Tensor]) -> Any:
    heads.update(features)
    heads.update(others)
    heads.finalise()
    return heads


@pytest.fixture(scope="module", params=GRIDS, ids=str)
def shared(request: pytest.FixtureRequest) -> tuple[tuple[Grid, ...], Heads]:
    grids = request.param
    return grids, fitted(factory(grids).make(CELLS), feature_maps(grids, 15), feature_maps(grids, 8, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("layers", LAYERS)
def test_every_head_of_one_pass_is_the_separate_one(shared: tuple[tuple[Grid, ...], Heads], layers: str) -> None:
    grids, heads = shared
    test = feature_maps(grids, 4, seed=2)
    predictions = heads(test)
    for cell in [cell for cell in CELLS if cell.layers == layers]:
        train, others, own_test = (
            [x[s - 1] for s in cell.stages] for x in (feature_maps(grids, 15), feature_maps(grids, 8, seed=1), test)
        )
        expected = fitted(alone(cell, grids), train, others)(own_test)
        torch.testing.assert_close(predictions[cell.name].score, expected.score, rtol=1e-5, atol=0)
        for ours, its in zip(predictions[cell.name].level_distances, expected.level_distances, strict=True):
            torch.testing.assert_close(ours, its, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_level_maps_add_up(shared: tuple[tuple[Grid, ...], Heads]) -> None:
    grids, heads = shared
    test = feature_maps(grids, 4, seed=2)
    for head, prediction in zip(heads.heads, heads(test).values(), strict=True):
        levels = head.level_maps(prediction)
        assert levels.shape[1] == len(head.level_inputs)
        torch.testing.assert_close(levels.sum(1), prediction.anomaly_map, rtol=1e-4, atol=1e-4)


def test_what_is_shared_is_counted_once() -> None:
    """Ten draws read the union of their channels; where that is larger than the draws, they share nothing."""
    many = factory(GRIDS[0]).make([Cell(reduction="random", dim=20, seed=seed) for seed in range(10)])
    assert len(many.statistics) == 1
    few = factory(GRIDS[0]).make([Cell(reduction="semi_orthogonal_blocks", dim=3, seed=seed) for seed in range(2)])
    assert len(few.statistics) == 2


def test_layers_that_the_others_fold_keep_statistics_of_their_own() -> None:
    grids = ((15, 15), (8, 8), (5, 5))  # 5 is no function of 8 under 15
    heads = factory(grids).make([Cell("l123"), Cell("l23"), Cell("l13"), Cell("l1")])
    assert len({id(head.statistics) for head in heads.heads}) == 2
    assert heads.heads[1].statistics is not heads.heads[0].statistics


def test_remove_and_merge_reach_every_head() -> None:
    cells = [Cell("l123"), Cell("sum123"), Cell(reduction="pca", dim=4)]
    a, b, c = (feature_maps(GRIDS[0], n, seed) for n, seed in ((9, 0), (8, 1), (5, 2)))
    expected = fitted(factory(GRIDS[0]).make(cells), a, b)(c)
    removed = fitted(factory(GRIDS[0]).make(cells), a, c)
    one, other = factory(GRIDS[0]).make(cells), factory(GRIDS[0]).make(cells)
    removed.update(b)
    removed.remove(c)
    one.update(a)
    other.update(b)
    one.merge(other)
    for heads in (removed, one):
        heads.finalise()
        assert heads.count == heads.fitted == 17
        for name, prediction in heads(c).items():
            torch.testing.assert_close(prediction.score, expected[name].score, rtol=1e-4, atol=0)


def test_statistics_that_do_not_serve_are_refused() -> None:
    """They were taken once, and the scores were wrong."""
    part = Reduction(tuple(torch.eye(size)[:, :3] for size in CHANNELS))
    few = Statistics(Embedding(CHANNELS, GRIDS[0], (0, 1, 2), part))
    projected = make_reduction("semi_orthogonal_blocks", CHANNELS, 9)
    other = Statistics(Embedding(CHANNELS, GRIDS[0], (0, 1, 2), projected))
    one = Statistics(Embedding(CHANNELS, GRIDS[0], (0,), make_reduction("none", CHANNELS[:1])))
    for statistics in (few, other, one):
        with pytest.raises(ValueError, match="these statistics do not serve this head"):
            Head(CHANNELS, GRIDS[0], SIZE, statistics=statistics)
    with pytest.raises(ValueError, match="these statistics do not serve this head"):
        Head(CHANNELS, GRIDS[0], SIZE, reduction=part, statistics=few, save_state=False)
    Head(CHANNELS, GRIDS[0], SIZE, reduction=part, statistics=few)


@pytest.mark.parametrize("refused", ["update", "remove", "merge"])
def test_what_is_refused_changes_nothing(refused: str) -> None:
    heads = factory(GRIDS[0]).make([Cell("l123"), Cell("l1")])
    x = feature_maps(GRIDS[0], 9)
    heads.update(x)
    heads.finalise()
    wrong = {
        "update": lambda: heads.update(feature_maps(GRIDS[1], 4)),
        "remove": lambda: heads.remove(feature_maps(GRIDS[0], 10)),
        "merge": lambda: heads.merge(factory(GRIDS[0]).make([Cell("l12"), Cell("l1")])),
    }
    before = heads(x)["l1-none-sample-eps0.01-seed0"].score
    with pytest.raises(ValueError, match=r"made for|cannot remove|cannot merge"):
        wrong[refused]()
    assert heads.fitted == 9
    assert torch.equal(heads(x)["l1-none-sample-eps0.01-seed0"].score, before)


@pytest.mark.parametrize("save_state", [True, False])
@pytest.mark.parametrize("cell", CELLS[:: len(CELLS) // 40], ids=lambda cell: cell.name)
def test_a_saved_head_scores_the_same(cell: Cell, save_state: bool, tmp_path: Path) -> None:
    x, test = feature_maps(GRIDS[0], 15), feature_maps(GRIDS[0], 3, seed=1)
    heads = [alone(cell, GRIDS[0], save_state) for _ in range(2)]
    own, own_test = ([maps[s - 1] for s in cell.stages] for maps in (x, test))
    heads[0].update(own)
    heads[0].finalise()
    torch.save(heads[0].state_dict(), tmp_path / "head.pt")
    heads[1].load_state_dict(torch.load(tmp_path / "head.pt", weights_only=True))
    assert torch.equal(heads[1](own_test).score, heads[0](own_test).score)
    for head in heads:
        assert head.count == 15
        if save_state:
            head.update(own)
            head.finalise()
        else:
            with pytest.raises(RuntimeError, match="overwritten its statistics"):
                head.update(own)
    assert torch.equal(heads[1](own_test).score, heads[0](own_test).score)


def test_a_head_that_cannot_be_factorised_is_named() -> None:
    heads = factory(GRIDS[0]).make([Cell("l1"), Cell("l123", eps=0.0)])
    heads.update(feature_maps(GRIDS[0], 5))
    with pytest.raises(NotPositiveDefiniteError, match=r"the head l123-none-sample-eps0-seed0: the covariance is not"):
        heads.finalise()


def test_a_sum_is_the_sum_of_the_single_layers() -> None:
    heads = factory(GRIDS[0]).make([Cell("l1"), Cell("l2"), Cell("l3"), Cell("sum123")])
    heads = fitted(heads, feature_maps(GRIDS[0], 9), feature_maps(GRIDS[0], 8, seed=1))
    *single, total = heads(feature_maps(GRIDS[0], 3, seed=2)).values()
    anomaly_map = sum(prediction.anomaly_map for prediction in single)
    torch.testing.assert_close(total.anomaly_map, anomaly_map)
    torch.testing.assert_close(total.score, anomaly_map.flatten(1).max(1).values)


def test_statistics_that_were_given_up_do_not_start_anew() -> None:
    heads = factory(GRIDS[0]).make([Cell("l123"), Cell("l1")])
    x = feature_maps(GRIDS[0], 9)
    heads.update(x)
    heads.finalise()
    heads.statistics[0].drop()
    heads(x)
    with pytest.raises(RuntimeError, match="the statistics of 9 images have been given up"):
        heads.update(x)


def test_an_impossible_cell_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"the head l1-random13-sample-eps0.01-seed0 is impossible: cannot keep 13 of 12"
    ):
        factory(GRIDS[0]).make([Cell("l123"), Cell("l1", "random", 13)])
    with pytest.raises(ValueError, match=r"sum12-pca3.* is impossible: a sum of single layers takes no reduction"):
        factory(GRIDS[0]).make([Cell("sum12", "pca", 3)])
    with pytest.raises(ValueError, match=r"l12-lda3.* is impossible: unknown reduction 'lda'; known are none, random"):
        factory(GRIDS[0]).make([Cell("l12", "lda", 3)])


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"layer": "l1"}, "heads.mine has layer; a head has layers, reduction, dim, covariance, pool, eps, seed"),
        ({"layers": ["l1", "first"]}, "heads.mine has an impossible head, .*layers is 'first'"),
        ({"covariance": "mcd"}, "impossible head, .*unknown covariance 'mcd'; known are sample, diagonal, oas"),
        ({"pool": [1, 2]}, "impossible head, .*pool is 2"),
        ({"seed": [1, 1]}, "the head l123-none-sample-eps0.01-seed1 is there 2 times"),
        ({"seed": []}, "there is no head"),
        ({"layers": "l11"}, "layers is 'l11'; allowed are l and ascending stages"),
        ({"layers": "l21"}, "layers is 'l21'"),
    ],
)
def test_blocks_that_make_no_heads(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand({"mine": block})


def test_a_block_is_every_combination_of_its_values() -> None:
    cells = expand({"a": {"layers": ["l1", "l2"], "covariance": ["sample", "oas"]}, "b": {"seed": 3}})
    assert [(cell.layers, cell.covariance, cell.eps, cell.seed) for cell in cells] == [
        ("l1", "sample", 0.01, 0),
        ("l1", "oas", 0.0, 0),
        ("l2", "sample", 0.01, 0),
        ("l2", "oas", 0.0, 0),
        ("l123", "sample", 0.01, 3),
    ]
