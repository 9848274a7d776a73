"""Leave-one-out distances are those of the model that is fitted again without the image."""

import pytest
import torch
from torch import Tensor

from padim.covariance import Covariance
from padim.gaussian import NotPositiveDefiniteError
from padim.grids import Grid
from padim.heads import LayerSum
from padim.leave_one_out import leave_one_out
from tests.reference import GRIDS
from tests.test_head import feature_maps, fitted, reduce

BOUND = {torch.float32: 1e-4, torch.float64: 1e-10}


def pick(features: list[Tensor], images: list[int]) -> list[Tensor]:
    return [x[images] for x in features]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("images", "dim"), [(9, None), (60, None), (60, 11)])
@pytest.mark.parametrize("grids", GRIDS)
def test_as_refitting_without_the_image(
    grids: tuple[Grid, ...], images: int, dim: int | None, dtype: torch.dtype
) -> None:
    """With fewer and with more images than channels; the levels' shares as well as the scores."""
    train = [x.to(dtype) for x in feature_maps(grids, images)]
    options = {"reduction": reduce(grids, "none" if dim is None else "random", dim)}
    head = fitted(grids, [train], dtype, **options)
    with leave_one_out([head]):
        found = head(train)
    for image in range(0, images, images // 4):
        others = [other for other in range(images) if other != image]
        expected = fitted(grids, [pick(train, others)], dtype, **options)(pick(train, [image]))
        for ours, theirs in ((found.score, expected.score), (found.anomaly_map, expected.anomaly_map)):
            torch.testing.assert_close(ours[image], theirs[0], rtol=BOUND[dtype], atol=BOUND[dtype])
        if images < 10 and dtype == torch.float32:
            continue  # 1 - c m is so small that single positions, before any smoothing, are off by up to 1.1e-4
        distance = sum(expected.level_distances)[0]  # of which each level has a share
        for ours, theirs in zip(found.level_distances, expected.level_distances, strict=True):
            assert ((ours[image] - theirs[0]).abs() <= BOUND[dtype] * distance).all()


def test_three_images_are_enough() -> None:
    train = [x.double() for x in feature_maps(GRIDS[0], 3)]
    with leave_one_out([head := fitted(GRIDS[0], [train], torch.float64)]):
        found = head(train)
    expected = fitted(GRIDS[0], [pick(train, [1, 2])], torch.float64)(pick(train, [0]))
    torch.testing.assert_close(found.anomaly_map[0], expected.anomaly_map[0], rtol=1e-10, atol=0)


def test_the_model_is_as_before_afterwards() -> None:
    train = feature_maps(GRIDS[0], 20)
    head = fitted(GRIDS[0], [train])
    before = head(train)
    with leave_one_out([head]):
        within = head(train)
    after = head(train)
    assert torch.equal(before.anomaly_map, after.anomaly_map)
    assert (within.score > before.score).all()  # an image is nearer to a model that knows it


def test_also_of_a_sum_of_layers() -> None:
    train = feature_maps(GRIDS[0], 12)
    layers = [fitted(GRIDS[0], [train], maps=[m]) for m in range(len(GRIDS[0]))]
    head = LayerSum(layers)
    with leave_one_out(head.members):
        found = head(train)
    others = pick(train, list(range(1, 12)))
    expected = LayerSum([fitted(GRIDS[0], [others], maps=[m]) for m in range(len(GRIDS[0]))])(pick(train, [0]))
    torch.testing.assert_close(found.score[0], expected.score[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "images", "error", "reason"),
    [
        ({"covariance": Covariance("oas", 0.0)}, 9, ValueError, "leave-one-out distances are known for covariance=eps"),
        ({"covariance": Covariance(pool=3)}, 9, ValueError, "for the others hold images out"),
        ({"covariance": Covariance("diagonal")}, 9, ValueError, "leave-one-out distances are known"),
        ({"reduction": reduce(GRIDS[0], "pca", 5)}, 9, ValueError, "with a reduction that is drawn"),
        ({}, 2, ValueError, "leaving one of 2 images out leaves no covariance; give at least 3"),
        ({"save_state": False}, 9, RuntimeError, "overwritten its statistics"),
    ],
)
def test_what_it_cannot_do(options: dict, images: int, error: type[Exception], reason: str) -> None:
    head = fitted(GRIDS[0], [feature_maps(GRIDS[0], images)], **options)
    with pytest.raises(error, match=reason), leave_one_out([head]):
        pass


def test_a_failure_leaves_the_heads_as_they_were() -> None:
    """The second one has no positive definite covariance, which is found once the first is prepared."""
    train = feature_maps(GRIDS[0], 3)
    heads = [fitted(GRIDS[0], [train]) for _ in range(2)]
    before, heads[1].covariance = heads[0](train), Covariance(eps=1e-12)
    with pytest.raises(NotPositiveDefiniteError), leave_one_out(heads):
        pass
    assert not any(head.leaves_one_out for head in heads)
    assert [head.covariance for head in heads] == [Covariance(), Covariance(eps=1e-12)]
    assert torch.equal(heads[0](train).score, before.score)
