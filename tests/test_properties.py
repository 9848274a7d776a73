"""Properties of what has a slow, obvious form: of any sizes, numbers and orders, as hypothesis draws them."""

import itertools
import math
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from padim.calibration import Calibration, images_needed
from padim.covariance import Covariance
from padim.data.scaling import Scaling
from padim.grids import Grid, ancestors, plan_levels
from padim.head import Head
from padim.metrics import PRO, ImageAUROC, PixelAUROC
from padim.predict.decision import Decision
from padim.predict.placement import Placement
from padim.predict.regions import find_regions
from padim.reduction import make_reduction
from padim.statistics import Statistics
from tests import reference
from tests.test_metrics import exact, value
from tests.test_metrics import update as updated

BRIEF = {"derandomize": True, "database": None, "deadline": None}
"""The same examples on every machine. The long form draws others each time, and prints how to repeat what fails. With
``CI`` in the environment it, too, draws the same ones every time."""
LONG = {**BRIEF, "derandomize": "CI" in os.environ, "print_blob": True}


def for_all(examples: int, **drawn: st.SearchStrategy) -> Callable[[Callable[..., None]], Any]:
    """A test of a property: of some examples, and, among the slow tests, of fifty times as many."""

    def decorate(holds: Callable[..., None]) -> Any:
        @pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["brief", "long"])
        def test(long: bool) -> None:
            given_times = {**(LONG if long else BRIEF), "max_examples": 50 * examples if long else examples}
            settings(**given_times, suppress_health_check=[HealthCheck.too_slow])(given(**drawn)(holds))()

        test.__doc__ = holds.__doc__
        return test

    return decorate


# --- states: any batches, order and merge tree, with images taken out again

SIDES = st.integers(1, 9)
LEVELS = st.lists(st.tuples(st.integers(1, 4), SIDES, SIDES), min_size=1, max_size=3)
"""Channels, height and width of each feature map."""
LEAF = st.integers(0, 4)
"""Images of a batch, none included."""
TREES = st.recursive(
    LEAF,
    lambda below: st.one_of(
        st.tuples(st.just("update"), below, LEAF),
        st.tuples(st.just("merge"), below, below),
        st.tuples(st.just("remove"), below, st.integers(0, 2**16)),
    ),
    max_leaves=6,
)


class Drawn:
    """Images by number, as features of some levels."""

    def __init__(self, levels: list[tuple[int, int, int]], seed: int) -> None:
        self.channels = [channels for channels, _, _ in levels]
        self.grids: list[Grid] = [(height, width) for _, height, width in levels]
        self.generator, self.maps = torch.Generator().manual_seed(seed), [[] for _ in levels]
        self.count = 0

    def more(self, images: int) -> list[int]:
        for maps, channels, grid in zip(self.maps, self.channels, self.grids, strict=True):
            x = torch.randn(images, channels, *grid, generator=self.generator, dtype=torch.float64)
            maps.extend(x + torch.randn(images, 1, 1, 1, generator=self.generator, dtype=torch.float64))
        self.count += images
        return list(range(self.count - images, self.count))

    def features(self, images: list[int]) -> list[Tensor]:
        shapes = zip(self.maps, self.channels, self.grids, strict=True)
        return [torch.stack([maps[i] for i in images]) if images else torch.zeros(0, c, *g) for maps, c, g in shapes]

    def head(self, **options: Any) -> Head:
        return Head(self.channels, self.grids, (8, 8), **options).double()


def grown(drawn: Drawn, tree: Any) -> tuple[Head, list[int]]:
    """The head that a tree describes, and the images that it knows."""
    if isinstance(tree, int):
        head, images = drawn.head(), drawn.more(tree)
        head.update(drawn.features(images))
        return head, images
    action, below, argument = tree
    head, images = grown(drawn, below)
    if action == "update":
        more = drawn.more(argument)
        head.update(drawn.features(more))
        return head, images + more
    if action == "merge":
        other, others = grown(drawn, argument)
        head.merge(other)
        return head, images + others
    gone = [image for place, image in enumerate(images) if argument >> place & 1]
    head.remove(drawn.features(gone))
    return head, [image for image in images if image not in gone]


def moments_of(statistics: Statistics, maps: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Mean and own rows of the scatter of each level, from all images at once."""
    plan = statistics.embedding.plan
    found, own = [], []
    for level in plan:
        own.append(torch.cat([reference.replicate(maps[m], plan[-1].grid) for m in level.maps], 1))
        joined = torch.cat(own, 1).flatten(2).permute(2, 0, 1)  # (P, N, D) of the finest grid
        first = [
            int((ancestors(level.grid, plan[-1].grid, plan[-1].grid) == p).nonzero()[0]) for p in range(level.positions)
        ]
        mean, scatter = reference.moments(joined[first])
        found.append((mean, scatter[:, -own[-1].shape[1] :]))
    return found


@for_all(60, levels=LEVELS, tree=TREES, seed=st.integers(0, 99))
def test_a_state_is_that_of_its_images_in_one_batch(levels: list[tuple[int, int, int]], tree: Any, seed: int) -> None:
    drawn = Drawn(levels, seed)
    head, images = grown(drawn, tree)
    assert head.count == len(images)
    if images:
        expected = moments_of(head.statistics, drawn.features(images))
        for moments, (mean, scatter) in zip(head.statistics.moments, expected, strict=True):
            torch.testing.assert_close(moments.mean, mean, rtol=0, atol=1e-10)
            torch.testing.assert_close(moments.scatter, scatter, rtol=0, atol=1e-10)


REDUCTIONS = st.sampled_from(["none", "random", "semi_orthogonal", "semi_orthogonal_blocks"])


@for_all(60, levels=LEVELS, images=st.integers(2, 12), name=REDUCTIONS, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_distances_are_the_direct_form(
    levels: list[tuple[int, int, int]], images: int, name: str, share: float, seed: int
) -> None:
    """Of any grids, whether they nest or not, in any order, and any number of channels and dimensions."""
    drawn = Drawn(levels, seed)
    total = sum(drawn.channels)
    dim = None if name == "none" else min(total, 1 + int(share * total))
    reduction = make_reduction(name, drawn.channels, dim, seed)
    head = drawn.head(reduction=reduction, covariance=Covariance(eps=0.01))
    train, test = drawn.more(images), drawn.more(3)
    head.update(drawn.features(train))
    head.finalise()
    finest = head.embedding.plan[-1].grid

    def embed(numbers: list[int]) -> Tensor:
        full = torch.cat([reference.replicate(x, finest) for x in drawn.features(numbers)], 1)
        matrices = [matrix.double() for matrix in reduction.matrices]
        matrix = torch.cat(matrices) if reduction.mixes else torch.block_diag(*matrices)
        return full.flatten(2).permute(2, 0, 1) @ matrix

    expected = reference.distances(embed(train), embed(test), eps=0.01)
    found = sum(head(drawn.features(test)).level_distances).flatten(1).mT
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@for_all(200, sides=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=5))
def test_a_plan_serves_every_map_on_the_grid_that_it_is_given(sides: list[Grid]) -> None:
    """Through the levels of a plan a position finds what direct replication to the finest grid gives it."""
    plan = plan_levels(dict(enumerate(sides)))
    finest = plan[-1].grid
    assert sorted(m for level in plan for m in level.maps) == list(range(len(sides)))
    for coarse, fine in itertools.pairwise(plan):
        direct = ancestors(coarse.grid, finest, finest)
        through = ancestors(coarse.grid, fine.grid, finest)[ancestors(fine.grid, finest, finest)]
        assert torch.equal(direct, through)


# --- metrics: from histograms, against the exact curves

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5)
MASKED = SHAPES.flatmap(
    lambda shape: st.tuples(
        arrays.arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=False)),
        arrays.arrays(np.bool_, shape),
        arrays.arrays(
            np.int16,
            shape,
            elements=st.sampled_from([-3, -1, 0, 1, 2, 0x80, 0x3F80]) | st.integers(-(2**15), 2**15 - 1),
        ),
    )
)


def has_both(mask: np.ndarray) -> bool:
    return bool(mask.any() and not mask.all())


@for_all(60, drawn=MASKED.filter(lambda drawn: has_both(drawn[1])), metric=st.sampled_from([PixelAUROC, PRO]))
def test_binned_areas_are_within_their_bound(drawn: tuple[np.ndarray, ...], metric: type[PixelAUROC | PRO]) -> None:
    scores, mask = torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1])
    ours = updated(metric(), scores, mask)
    assert abs(float(ours.compute()) - exact(metric, scores, mask)) <= float(ours.error_bound()) + 1e-12


@for_all(
    60, drawn=MASKED.filter(lambda drawn: has_both(drawn[1])), metric=st.sampled_from([ImageAUROC, PixelAUROC, PRO])
)
def test_areas_are_exact_where_bins_hold_equal_scores(drawn: tuple[np.ndarray, ...], metric: type) -> None:
    """Of bfloat16 numbers, bit by bit: ties, negative ones, -0.0, subnormal and infinite ones."""
    bits = torch.from_numpy(drawn[2].astype(np.int32)) << 16
    scores = bits.view(torch.float32)
    scores, mask = scores.masked_fill(scores.isnan(), -0.0), torch.from_numpy(drawn[1])
    assert value(metric, scores, mask) == pytest.approx(exact(metric, scores, mask), abs=1e-9)


# --- thresholds

SCORES = st.lists(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float), min_size=1, max_size=40
)
ALPHAS = st.floats(1e-9, 1, exclude_max=True) | st.builds(
    lambda a, b: min(a, b) / (max(a, b) + 1), st.integers(1, 50), st.integers(1, 50)
)


@for_all(300, scores=SCORES, alpha=ALPHAS, new=st.lists(st.floats(allow_nan=False), max_size=5))
def test_an_alarm_is_a_p_value_of_at_most_alpha(scores: list[float], alpha: float, new: list[float]) -> None:
    needed = images_needed("held_out", alpha)
    assert 1 / (needed + 1) <= alpha < 1 / needed
    if len(scores) < needed:
        with pytest.raises(ValueError, match="too few") as caught:
            Calibration(scores, alpha, "held_out", fitted=9)
        advised = re.search(r"alpha=(\S+) or more", str(caught.value))
        assert advised
        alpha = float(advised[1])
    calibration = Calibration(scores, alpha, "held_out", fitted=9)
    threshold = calibration.threshold
    beside = [math.nextafter(threshold, side) for side in (-math.inf, math.inf)]
    for score in (*scores, *new, threshold, *beside):
        assert (score > threshold) == (calibration.p_value(score) <= alpha)


@for_all(
    100,
    anomaly_map=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(width=32, allow_nan=False),
    ),
    threshold=st.none() | st.floats(allow_nan=False),
)
def test_there_is_an_alarm_exactly_where_there_is_a_region(anomaly_map: np.ndarray, threshold: float | None) -> None:
    """Of a threshold drawn by itself, and of one that is a score: on neither side of it a rounding decides."""
    score = float(anomaly_map.max())
    for limit in [score, math.nextafter(score, -math.inf)] if threshold is None else [threshold]:
        regions = find_regions(anomaly_map, limit)
        assert Decision(limit, None).alarm(score) == bool(regions)
        assert sum(one.pixels for one in regions) == int((anomaly_map.astype(np.float64) > limit).sum())
        if regions:
            assert regions[0].score == score


# --- where a pixel of the model lies in the image

FRAMES = st.integers(1, 64).flatmap(lambda frame: st.tuples(st.just(frame), st.integers(1, frame)))


@for_all(150, rows=FRAMES, columns=FRAMES, size=st.tuples(st.integers(1, 300), st.integers(1, 300)), keep=st.booleans())
def test_pixels_lie_where_they_were_made(
    rows: tuple[int, int], columns: tuple[int, int], size: tuple[int, int], keep: bool
) -> None:
    """Centres lie in their boxes, boxes cover the window without a gap, and a place leads back to its pixel."""
    scaling = Scaling((rows[0], columns[0]), keep_aspect=keep)
    place = Placement.of(scaling, (rows[1], columns[1]), size)
    for axis, original in zip(place, size, strict=True):
        count, end = axis.stop - axis.start, 0
        assert count > 0
        for index in range(count):
            first, stop = axis.span(index, index + 1)
            assert 0 <= first <= axis.centre(index) < stop <= original
            assert index == 0 or first <= end  # no gap
            end = stop
            if axis.fitted <= original:  # shrunk: the middle of an original's pixel is in one of the model's
                back = (2 * axis.centre(index) + 1) * axis.fitted // (2 * original) - axis.offset
                assert back == index
        assert axis.span(0, count) == (axis.span(0, 1)[0], end)
    left, top, width, height = place.window
    assert place.is_cropped == ((left, top, width, height) != (0, 0, size[1], size[0]))


@for_all(60, rows=FRAMES, columns=FRAMES, size=st.tuples(st.integers(1, 99), st.integers(1, 99)), keep=st.booleans())
def test_a_whole_map_has_the_values_of_what_is_seen(
    rows: tuple[int, int], columns: tuple[int, int], size: tuple[int, int], keep: bool
) -> None:
    """A constant stays one, wherever it is seen, and where nothing is seen is nothing."""
    place = Placement.of(Scaling((rows[0], columns[0]), keep_aspect=keep), (rows[1], columns[1]), size)
    seen = place.seen(np.full((rows[1], columns[1]), 2.5, np.float32))
    full = place.full(seen, size)
    known = np.isfinite(full)
    assert full.shape == size
    assert (full[known] == 2.5).all()
    left, top, width, height = place.window
    assert not known[:top].any()
    assert not known[:, :left].any()
    assert not known[top + height :].any()
    assert not known[:, left + width :].any()
    assert known[top + 1 : top + height - 1, left + 1 : left + width - 1].all()
