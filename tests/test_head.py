"""The pyramid is the paper's PaDiM: theorems, over every kind of grid."""

import pytest
import torch
from torch import Tensor

from padim.covariance import Covariance
from padim.gaussian import NotPositiveDefiniteError
from padim.grids import Grid
from padim.head import Head
from padim.reduction import Reduction, make_reduction
from tests import reference
from tests.reference import ATOL, GRIDS, RTOL

CHANNELS, SIZE = (12, 8, 14), (64, 64)


def feature_maps(grids: tuple[Grid, ...], batch: int, seed: int = 0) -> list[Tensor]:
    """Correlated, non-negative features as a ReLU gives them; a third of the channels is nearly always 0."""
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for channels, grid in zip(CHANNELS, grids, strict=False):
        x = torch.randn(batch, channels, *grid, generator=generator)
        x = x + torch.randn(batch, 1, 1, 1, generator=generator)
        x[:, ::3] -= 4
        maps.append(x.relu())
    return maps


def reduce(grids: tuple[Grid, ...], name: str, dim: int | None, seed: int = 0) -> Reduction:
    return make_reduction(name, CHANNELS[: len(grids)], dim, seed)


def fitted(grids: tuple[Grid, ...], batches: list[list[Tensor]], dtype: torch.dtype = torch.float32, **options) -> Head:
    head = Head(CHANNELS[: len(grids)], grids, SIZE, **options)
    if dtype == torch.float64:
        head.double()  # not float(): in single precision only the mean is float64
    for features in batches:
        head.update([x.to(dtype) for x in features])
    head.finalise()
    return head


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("images", "dim"), [(9, None), (60, None), (9, 11), (60, 11), (12, 1), (12, 5)])
@pytest.mark.parametrize("grids", GRIDS)
def test_distances_are_the_papers(grids: tuple[Grid, ...], images: int, dim: int | None, dtype: torch.dtype) -> None:
    """With fewer and with more images than channels, with all channels and with random ones."""
    name = "none" if dim is None else "random"
    train, test = feature_maps(grids, images), feature_maps(grids, 3, seed=1)
    reduction = reduce(grids, name, dim, seed=3)
    kept = [matrix.any(1).nonzero()[:, 0] for matrix in reduction.matrices]
    expected = reference.distances(reference.embed(train, kept), reference.embed(test, kept), eps=0.01)  # (P, B)

    head = fitted(grids, [train], dtype, reduction=reduction)
    distances = sum(head([x.to(dtype) for x in test]).level_distances)  # (B, h, w)
    torch.testing.assert_close(distances.flatten(1).mT.double(), expected, rtol=RTOL[dtype], atol=ATOL[dtype])


@pytest.mark.parametrize("grids", GRIDS)
def test_memory_layout_does_not_matter(grids: tuple[Grid, ...]) -> None:
    train, test = feature_maps(grids, 9), feature_maps(grids, 2, seed=1)
    channels_last = [[x.to(memory_format=torch.channels_last) for x in maps] for maps in (train, test)]
    expected = fitted(grids, [train])(test)
    torch.testing.assert_close(fitted(grids, channels_last[:1])(channels_last[1]).score, expected.score)


@pytest.mark.parametrize("grids", GRIDS)
def test_batches_of_one_score_as_batches_of_many(grids: tuple[Grid, ...]) -> None:
    head, test = fitted(grids, [feature_maps(grids, 20)]), feature_maps(grids, 5, seed=1)
    alone = torch.cat([head([x[i : i + 1] for x in test]).score for i in range(5)])
    torch.testing.assert_close(alone, head(test).score)


@pytest.mark.parametrize("grids", GRIDS)
def test_level_maps_add_up_to_the_anomaly_map(grids: tuple[Grid, ...]) -> None:
    head = fitted(grids, [feature_maps(grids, 20)])
    prediction = head(feature_maps(grids, 4, seed=1))
    levels = head.level_maps(prediction)
    assert levels.shape == (4, len(head.embedding.plan), *SIZE)
    torch.testing.assert_close(levels.sum(1), prediction.anomaly_map, rtol=1e-4, atol=1e-4)
    assert torch.equal(prediction.score, prediction.anomaly_map.flatten(1).max(1).values)


def test_a_distance_of_zero_gives_level_maps_of_zero() -> None:
    grids = GRIDS[0]
    x = [torch.zeros(2, c, *g) for c, g in zip(CHANNELS, grids, strict=True)]
    assert torch.equal(torch.stack(fitted(grids, [x])(x).level_distances), torch.zeros(3, 2, 56, 56))


@pytest.mark.parametrize("grids", GRIDS)
def test_update_remove_and_merge_agree(grids: tuple[Grid, ...]) -> None:
    """Fit on A and B = fit on A, B and C less C = fit on A merged with fit on B."""
    a, b, c = (feature_maps(grids, n, seed) for n, seed in ((9, 0), (14, 1), (6, 2)))
    test = feature_maps(grids, 3, seed=3)
    expected = fitted(grids, [a, b])(test).score

    removed = fitted(grids, [a, c, b])
    removed.remove(c)
    removed.finalise()
    merged = fitted(grids, [b])
    merged.merge(fitted(grids, [a]))
    merged.finalise()
    for head in (removed, merged):
        assert head.count == 23
        torch.testing.assert_close(head(test).score, expected, rtol=RTOL[torch.float32], atol=0)


@pytest.mark.parametrize("grids", GRIDS)
def test_whitening_written_over_the_scatter_is_the_same(grids: tuple[Grid, ...]) -> None:
    train, test = feature_maps(grids, 12), feature_maps(grids, 3, seed=1)
    head = fitted(grids, [train], save_state=False)
    assert torch.equal(head(test).score, fitted(grids, [train])(test).score)
    with pytest.raises(RuntimeError, match="save_state=true"):
        head.update(train)


def test_a_model_says_that_it_is_not_fitted() -> None:
    head, x = Head(CHANNELS, GRIDS[0], SIZE), feature_maps(GRIDS[0], 4)
    with pytest.raises(RuntimeError, match="not fitted to the 0 images in its statistics"):
        head(x)
    head.update(x)
    head.finalise()
    head(x)
    head.update(x)
    head.remove(x)  # as many as before, and yet not finalised
    with pytest.raises(RuntimeError, match="not fitted to the 4 images in its statistics"):
        head(x)


def test_one_image_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="at least 2 images, found 1; give more training images"):
        fitted(GRIDS[0], [feature_maps(GRIDS[0], 1)])


def test_not_finite_features_are_named() -> None:
    x = feature_maps(GRIDS[0], 4)
    x[1][2, 3, 0, 5] = torch.nan
    with pytest.raises(ValueError, match="of 1 of 4 images of the batch are NaN or infinite, first those of image 2"):
        fitted(GRIDS[0], [x])


def test_removing_what_never_went_in_is_named() -> None:
    """Not at once, since the statistics do not know their images, but at the latest when they are factorised."""
    head = fitted(GRIDS[0], [feature_maps(GRIDS[0], 9)])
    head.remove([10 * x for x in feature_maps(GRIDS[0], 4, seed=1)])
    with pytest.raises(NotPositiveDefiniteError, match=r"level \d, row \d+, column \d+ .*(had gone in|never gone in)"):
        head.finalise()


@pytest.mark.parametrize("other", [(GRIDS[0], 1), (GRIDS[1], 0)])
def test_merging_other_maps_or_channels_is_refused(other: tuple[tuple[Grid, ...], int]) -> None:
    """And changes nothing."""
    x, (grids, seed) = feature_maps(GRIDS[0], 4), other
    head = fitted(GRIDS[0], [x], reduction=reduce(GRIDS[0], "random", 9))
    before = head(x).score
    with pytest.raises(ValueError, match="cannot merge statistics of other feature maps or channels"):
        head.merge(fitted(grids, [feature_maps(grids, 5)], reduction=reduce(grids, "random", 9, seed)))
    assert torch.equal(head(x).score, before)


def test_maps_of_other_grids_are_refused() -> None:
    head = fitted(GRIDS[0], [feature_maps(GRIDS[0], 4)])
    with pytest.raises(ValueError, match=r"this head was made for \[\(12, 56, 56\), "):
        head(feature_maps(GRIDS[1], 4))


def test_a_factorisation_that_fails_leaves_no_half_model() -> None:
    """Without its state the head has overwritten part of it; with it, a larger eps may help."""
    train = feature_maps(GRIDS[0], 4)
    for save_state in (True, False):
        head = Head(CHANNELS, GRIDS[0], SIZE, covariance=Covariance(eps=0.0), save_state=save_state)
        head.update(train)
        with pytest.raises(NotPositiveDefiniteError):
            head.finalise()
        with pytest.raises(RuntimeError, match="not fitted"):
            head(train)
        head.covariance = Covariance(eps=0.01)
        if save_state:
            head.finalise()
            assert torch.equal(head(train).score, fitted(GRIDS[0], [train])(train).score)
        else:
            with pytest.raises(RuntimeError, match="has overwritten its statistics"):
                head.finalise()


def test_an_empty_batch_changes_nothing() -> None:
    x = feature_maps(GRIDS[0], 4)
    nothing = [feature[:0] for feature in x]
    assert torch.equal(fitted(GRIDS[0], [nothing, x, nothing])(x).score, fitted(GRIDS[0], [x])(x).score)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("grids", GRIDS)
def test_a_gpu_gives_the_same_distances(grids: tuple[Grid, ...]) -> None:
    train, test = feature_maps(grids, 12), feature_maps(grids, 3, seed=1)
    head = Head(CHANNELS[: len(grids)], grids, SIZE).cuda()
    head.update([x.cuda() for x in train])
    head.finalise()
    score = head([x.cuda() for x in test]).score.cpu()
    torch.testing.assert_close(score, fitted(grids, [train])(test).score, rtol=RTOL[torch.float32], atol=0)
