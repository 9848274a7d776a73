"""Numbers that break naive code: each fit is the float64 one within what rounding costs, or a named error.

What rounding costs: a float32 covariance is known to u times its largest variances v, u = 2^-24, and its smallest
eigenvalue is eps; and a distance is a difference of values x in units of at least sqrt(eps). So distances are exact to
``64 u (1 + v / eps + |x| / sqrt(eps))``, which is 1e-5 for ordinary features.
"""

import contextlib
import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from padim import gaussian
from padim.backbone import Backbone
from padim.calibration import Calibration
from padim.covariance import Covariance
from padim.gaussian import NotPositiveDefiniteError
from padim.head import Head
from padim.heads import LayerSum
from padim.leave_one_out import leave_one_out
from padim.metrics import PRO, PixelAUROC
from padim.model import PaDiM
from padim.reduction import make_reduction
from tests import reference

CHANNELS, GRIDS, SIZE = (12, 8, 14), ((8, 8), (4, 4), (2, 2)), (16, 16)
HALF = (torch.float16, torch.bfloat16)
Maps = list[Tensor]


def features(images: int, seed: int = 0) -> Maps:
    """Correlated, as a ReLU gives them; a third of the channels is nearly always 0."""
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for channels, grid in zip(CHANNELS, GRIDS, strict=True):
        x = torch.randn(images, channels, *grid, generator=generator)
        x = x + torch.randn(images, 1, 1, 1, generator=generator)
        x[:, ::3] -= 4
        maps.append(x.relu())
    return maps


def times(factor: float, maps: Maps, offset: float = 0.0) -> Maps:
    return [factor * x + offset for x in maps]


def fitted(train: Maps, eps: float = 0.01, **options) -> Head:
    head = Head(CHANNELS, GRIDS, SIZE, covariance=Covariance(eps=eps), **options)
    head.update(train)
    head.finalise()
    return head


def distances(head: Head, test: Maps) -> Tensor:
    """(P, B) of the finest grid, float64."""
    return sum(head(test).level_distances).flatten(1).mT.double()


def expected(train: Maps, test: Maps, eps: float = 0.01) -> Tensor:
    everything = [torch.arange(channels) for channels in CHANNELS]
    wide = [[x.double() for x in maps] for maps in (train, test)]
    return reference.distances(*(reference.embed(maps, everything) for maps in wide), eps)


def rounding(train: Maps, test: Maps, eps: float) -> float:
    largest = max(float(x.double().abs().max()) for x in (*train, *test))
    variance = max(float(x.double().var(0).max()) for x in train)
    return 64 * 2**-24 * (1 + variance / eps + largest / math.sqrt(eps))


def assert_exact(train: Maps, test: Maps, eps: float = 0.01) -> None:
    found = distances(fitted(train, eps), test)
    torch.testing.assert_close(found, expected(train, test, eps), rtol=rounding(train, test, eps), atol=1e-30)


def refusal(act: Callable[[], None], error: type[Exception]) -> str | None:
    """What is said against it, None where nothing is."""
    try:
        act()
    except error as said:
        return str(said)
    return None


MAGNITUDES = [1e-15, 1e-8, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e8, 1e15]


@pytest.mark.parametrize("scale", MAGNITUDES)
def test_of_any_magnitude_with_an_eps_that_suits_it(scale: float) -> None:
    assert_exact(times(scale, features(9)), times(scale, features(3, seed=1)), eps=0.01 * scale**2)


@pytest.mark.parametrize("scale", [1e-20, 1e-8, 1e-4, 1e-2, 1.0, 3.0])
def test_of_small_magnitude_with_the_papers_eps(scale: float) -> None:
    assert_exact(times(scale, features(9)), times(scale, features(3, seed=1)))


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4])
def test_far_from_zero(offset: float) -> None:
    assert_exact(times(1.0, features(9), offset), times(1.0, features(3, seed=1), offset))


def copies(*counts: int) -> Maps:
    return [torch.repeat_interleave(x, torch.tensor(counts), 0) for x in features(len(counts))]


def half_constant(images: int) -> Maps:
    return [torch.where(torch.arange(x.shape[1])[:, None, None] % 2 == 0, 7.5, x) for x in features(images)]


CASES: dict[str, Callable[[], Maps]] = {
    "two images": lambda: features(2),
    "two identical images": lambda: copies(2),
    "one image 50 times": lambda: copies(50),
    "images repeated": lambda: copies(1, 2, 30, 7),
    "constant channels": lambda: half_constant(20),
    "nothing but constants": lambda: [torch.full_like(x, 3.25) for x in features(6)],
    "nothing but zeros": lambda: times(0.0, features(6)),
    "far fewer images than channels": lambda: features(3),
    "far more": lambda: features(400),
}


@pytest.mark.parametrize("case", CASES)
def test_degenerate_images_are_fitted(case: str) -> None:
    assert_exact(CASES[case](), features(3, seed=1))


@pytest.mark.parametrize("case", [*CASES, "1e4", "1e18"])
def test_what_has_no_factor_says_where_and_what_to_do(case: str) -> None:
    """With eps=0 none of these covariances has full rank; and the advice works at once."""
    train = times(float(case), features(9)) if case not in CASES else CASES[case]()
    where = r"not positive definite at level \d, row \d, column \d of its (\d) x \1 grid, where variances reach"
    with pytest.raises(NotPositiveDefiniteError, match=where) as caught:
        fitted(train, eps=0.0)
    advised = re.search(r"raise covariance.eps, to (\S+) for instance", str(caught.value))
    assert advised
    assert distances(fitted(train, float(advised[1])), train).isfinite().all()


@pytest.mark.parametrize("channels", [30, 300])
def test_the_advice_works_where_one_direction_has_nearly_all_the_variance(channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, channels, 2, 2, generator=generator) + 30 * torch.randn(20, 1, 1, 1, generator=generator)

    def fit(eps: float) -> None:
        head = Head([channels], [(2, 2)], SIZE, covariance=Covariance(eps=eps))
        head.update([x])
        head.finalise()
        assert head([x]).score.isfinite().all()

    with pytest.raises(NotPositiveDefiniteError) as caught:
        fit(0.0)
    fit(float(re.findall(r"to (\S+) for instance", str(caught.value))[0]))


def test_a_singular_covariance_is_not_saved_by_a_lucky_rounding() -> None:
    """Two channels that are nearly one: half of the time the last pivot is positive, of the size of a rounding."""
    generator = torch.Generator().manual_seed(0)
    for seed in range(40):
        x = torch.randn(30, 1, 1, 1, generator=generator)
        head = Head([2], [(1, 1)], SIZE, covariance=Covariance(eps=0.0))
        head.update([torch.cat([x, x * (1 + 0.1 * seed)], 1)])
        with contextlib.suppress(NotPositiveDefiniteError):
            head.finalise()
            largest = float(head.levels[0].whitening.abs().max())
            assert largest < 2 / math.sqrt(torch.finfo(torch.float32).eps)


@pytest.mark.parametrize("scale", [1e20, 1e25, 1e37])
@pytest.mark.parametrize("grids", [GRIDS, ((2, 2),)])
def test_squares_beyond_float32_are_named(grids: tuple, scale: float) -> None:
    """Also of a single channel, whose infinite variance has an infinite root."""
    train = times(scale, features(9)) if grids == GRIDS else [scale * features(5)[2][:, 1:2]]
    head = Head([x.shape[1] for x in train], grids, SIZE)
    head.update(train)
    with pytest.raises(NotPositiveDefiniteError, match=r"the statistics are not finite at level \d, row \d, column \d"):
        head.finalise()


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, -3e38])
def test_what_lies_where_no_image_has_been_counts_for_nothing(value: float) -> None:
    """The statistics of no image are memory that nobody has written."""

    def nothing() -> Head:
        head = Head(CHANNELS, GRIDS, SIZE)
        for moments in head.statistics.moments:
            moments.mean.fill_(value)
            moments.scatter.fill_(value)
        return head

    train, test = features(9), features(3, seed=1)
    expected_scores = fitted(train)(test).score
    updated, merged, other = nothing(), nothing(), nothing()
    updated.update(train)
    merged.merge(updated)
    merged.merge(nothing())
    other.merge(nothing())
    assert other.count == 0
    for head in (updated, merged):
        head.finalise()
        assert torch.equal(head(test).score, expected_scores)
    for moments in nothing().statistics.moments:  # as ranks without an image take part
        recentred = gaussian.recentre(moments, torch.ones_like(moments.mean))
        assert not recentred.scatter.any()
        assert (recentred.mean == 1).all()


# --- half precision


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("autocast", [None, *HALF])
@pytest.mark.parametrize("dtype", [*HALF, torch.float32, torch.float64])
def test_statistics_and_distances_keep_float32(dtype: torch.dtype, autocast: torch.dtype | None, reduced: bool) -> None:
    """Of features of any type, and under any autocast, which is for the network."""
    train, test = ([x.to(dtype) for x in features(n, n)] for n in (20, 3))
    reduction = make_reduction("random", CHANNELS, 20) if reduced else None
    plain = fitted([x.float() for x in train], reduction=reduction)([x.float() for x in test])
    with torch.autocast("cpu", autocast, enabled=autocast is not None):
        head = fitted(train, reduction=reduction)
        found = head(test)
        levels = head.level_maps(found)
    assert torch.equal(found.score, plain.score)
    assert torch.equal(levels, head.level_maps(plain))


@pytest.mark.parametrize("dtype", HALF)
def test_a_network_in_half_precision_changes_its_features_alone(dtype: torch.dtype) -> None:
    """As ``bf16-mixed`` of Lightning runs it."""
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randint(0, 256, (n, 3, 64, 64), dtype=torch.uint8, generator=generator) for n in (12, 3))
    backbone = Backbone("resnet18", (1, 2), (64, 64))
    model = PaDiM(backbone, Head(backbone.channels, backbone.grids, (64, 64)))
    with torch.autocast("cpu", dtype):
        model.update(train)
        model.finalise()
        scores = model(test).score
        features = [model.features(images) for images in (train, test)]
    assert {feature.dtype for maps in features for feature in maps} == {dtype}
    head = Head(backbone.channels, backbone.grids, (64, 64))
    head.update([feature.float() for feature in features[0]])
    head.finalise()
    assert torch.equal(scores, head([feature.float() for feature in features[1]]).score)


def test_features_of_a_network_that_learns_are_counted() -> None:
    """Without their history."""
    train = features(8)
    expected, head = (Head(CHANNELS, GRIDS, SIZE) for _ in range(2))
    expected.update(train)
    head.update([x.clone().requires_grad_() for x in train])
    for one, other in zip(head.statistics.moments, expected.statistics.moments, strict=True):
        assert not one.scatter.requires_grad
        assert torch.equal(one.scatter, other.scatter)


@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_statistics_in_another_type_are_refused(dtype: torch.dtype) -> None:
    """As ``bf16-true`` of Lightning casts them; a mean in float32 drifts."""
    head = Head(CHANNELS, GRIDS, SIZE).to(dtype)
    with pytest.raises(TypeError, match=rf"the means of the statistics are {dtype}, in which they drift"):
        head.update([x.to(dtype) for x in features(4)])


ODD = [math.nan, math.inf, -math.inf, 1e5]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("change", ["update", "remove"])
def test_features_that_are_no_numbers_are_refused_and_change_nothing(change: str, value: float) -> None:
    """1e5 in float16 is one, from a network that overflows."""
    train, broken = features(9), features(5, seed=2)
    head = fitted(train)
    before = head(train).score
    broken[1][3, 5, 2, 1] = value
    given = [x.half() for x in broken] if value == 1e5 else broken
    message = (
        r"features of 1 of 5 images of the batch are NaN or infinite, first those of image 3, position 9 of level 1"
    )
    with pytest.raises(ValueError, match=message):
        getattr(head, change)(given)
    assert torch.equal(head(train).score, before)
    assert head.count == 9


@pytest.mark.parametrize("value", ODD[:3])
def test_an_image_whose_features_are_no_numbers_harms_no_other(value: float) -> None:
    """Its score is NaN, which every reader of scores refuses by name."""
    head, test = fitted(features(9)), features(4, seed=1)
    expected_scores = head(test).score
    test[2][1, 0, 1, 1] = value
    prediction = head(test)
    assert prediction.score[1].isnan()
    others = [0, 2, 3]
    assert torch.equal(prediction.score[others], expected_scores[others])
    for metric in (PixelAUROC(), PRO()):
        with pytest.raises(ValueError, match="scores are NaN"):
            metric.update(prediction.anomaly_map, torch.zeros(4, *SIZE, dtype=torch.bool))
    with pytest.raises(ValueError, match="1 of 4 calibration scores are not finite, such as nan: the model"):
        Calibration(prediction.score.tolist(), 0.5, "held_out", fitted=9)


# --- forgetting


def test_a_single_image_is_too_few_and_so_is_none() -> None:
    head = fitted(features(3))
    for left, gone in ((1, 2), (0, 1)):
        head.remove([x[left : left + gone] for x in features(3)])
        with pytest.raises(ValueError, match=f"at least 2 images, found {left}; give more training images"):
            head.finalise()
    head.update(features(7, seed=4))
    head.finalise()
    torch.testing.assert_close(distances(head, features(2)), distances(fitted(features(7, seed=4)), features(2)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 1e4])
def test_what_never_went_in_is_named_or_harmless(scale: float) -> None:
    """Never NaN: where the rest is still a covariance, it has distances."""
    head = fitted(features(9))
    head.remove(times(scale, features(4, seed=1)))
    if refused := refusal(head.finalise, NotPositiveDefiniteError):
        assert re.search(r"level \d, row \d, column \d .*(had gone in|had never gone in)", refused)
    else:
        assert distances(head, features(3, seed=2)).isfinite().all()


# --- leaving one out


@pytest.mark.parametrize("count", [3, 5, 9, 40])
@pytest.mark.parametrize("eps", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_leaving_one_out_is_exact_or_says_that_it_cannot_be(count: int, eps: float, scale: float) -> None:
    """1 - c m is what rounding leaves of it; below 0 it was the square of a distance that is NaN."""
    train = times(scale, features(count))

    def left_out() -> None:
        head = fitted(train, eps)
        with leave_one_out([head]):
            found = distances(head, train)[:, 0]
        alone = expected([x[1:] for x in train], [x[:1] for x in train], eps)[:, 0]
        torch.testing.assert_close(found, alone, rtol=0.1, atol=0)

    assert "raise covariance.eps" in (refusal(left_out, ValueError) or "raise covariance.eps")


def test_a_sum_of_layers_names_its_levels_too() -> None:
    layers = [Head(CHANNELS, GRIDS, SIZE, maps=[m], covariance=Covariance(eps=0.0)) for m in range(3)]
    head = LayerSum(layers)
    head.update(features(4))
    with pytest.raises(NotPositiveDefiniteError, match="level 0, row 0, column 0 of its 8 x 8 grid"):
        head.finalise()


@pytest.mark.parametrize(("pool", "grid"), [(3, "8 x 8"), ("all", "1 x 1")])
def test_pooled_statistics_name_their_position(pool: int | str, grid: str) -> None:
    head = Head(CHANNELS, GRIDS, SIZE, covariance=Covariance("sample", 0.0, pool))
    head.update(copies(5))
    with pytest.raises(NotPositiveDefiniteError, match=f"level 0, row 0, column 0 of its {grid} grid"):
        head.finalise()
