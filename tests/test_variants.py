"""Every reduction with every covariance against the slow form: float64, dense, from the images themselves."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.covariance import OAS
from sklearn.decomposition import PCA
from torch import Tensor

from padim.covariance import NAMES as COVARIANCES
from padim.covariance import Covariance
from padim.grids import Grid
from padim.head import Head
from padim.reduction import NAMES as REDUCTIONS
from padim.reduction import make_reduction
from tests.reference import ATOL, RTOL, embed
from tests.test_head import CHANNELS, SIZE, feature_maps

GRIDS = [((8, 8), (4, 4), (2, 2)), ((5, 6), (3, 3), (2, 2)), ((9, 5), (5, 5), (3, 5)), ((4, 3),)]
DIM, EPS = 5, 0.02


def axes(name: str, grids: tuple[Grid, ...], train: Tensor) -> Tensor:
    """(D, d): what the embeddings (P, N, D) are multiplied by, channels in the order of the maps."""
    if name in ("pca", "npca"):
        components = PCA(svd_solver="full").fit(train.flatten(0, 1).numpy()).components_  # by falling variance
        return torch.from_numpy(components[:DIM] if name == "pca" else components[-DIM:]).mT
    reduction = make_reduction(name, CHANNELS[: len(grids)], None if name == "none" else DIM, seed=2)
    matrices = [matrix.double() for matrix in reduction.matrices]
    return torch.cat(matrices) if reduction.mixes else torch.block_diag(*matrices)


def neighbours(x: Tensor, grid: Grid, position: int, pool: int | str) -> Tensor:
    """The vectors (n, d) of all images at the positions around one."""
    if pool == "all":
        return x.flatten(0, 1)
    (height, width), (row, column) = grid, divmod(position, grid[1])
    return torch.cat(
        [
            x[r * width + c]
            for r in range(row - pool // 2, row + pool // 2 + 1)
            for c in range(column - pool // 2, column + pool // 2 + 1)
            if 0 <= r < height and 0 <= c < width
        ]
    )


def estimate(name: str, x: Tensor) -> Tensor:
    match name:
        case "oas":
            sigma = OAS().fit(x.numpy()).covariance_
        case "diagonal":
            sigma = np.diag(np.var(x.numpy(), axis=0, ddof=1))
        case "sample":
            sigma = np.cov(x.numpy(), rowvar=False)
    return torch.from_numpy(sigma) + EPS * torch.eye(x.shape[1], dtype=torch.float64)


def slow_distances(train: Tensor, test: Tensor, grid: Grid, covariance: str, pool: int | str) -> Tensor:
    """(P, B)"""
    rows = []
    for p in range(len(train)):
        x = neighbours(train, grid, p, pool)
        residual = test[p] - x.mean(0)
        rows.append(((residual @ torch.linalg.inv(estimate(covariance, x))) * residual).sum(1).sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize(("reduction", "covariance", "pool"), list(product(REDUCTIONS, COVARIANCES, (1, 3, "all"))))
@pytest.mark.parametrize("grids", GRIDS, ids=str)
def test_distances_are_those_of_the_slow_form(
    grids: tuple[Grid, ...], reduction: str, covariance: str, pool: int | str
) -> None:
    channels = CHANNELS[: len(grids)]
    everything = [torch.arange(size) for size in channels]
    train, test = feature_maps(grids, 14), feature_maps(grids, 2, seed=1)
    slow_train, slow_test = embed(train, everything), embed(test, everything)
    matrix = axes(reduction, grids, slow_train)
    expected = slow_distances(slow_train @ matrix, slow_test @ matrix, grids[0], covariance, pool)

    reduced = make_reduction(reduction, channels, None if reduction == "none" else DIM, seed=2)
    for dtype in RTOL:
        head = Head(channels, grids, SIZE, reduction=reduced, covariance=Covariance(covariance, EPS, pool))
        if dtype == torch.float64:
            head.double()
        head.update([x.to(dtype) for x in train])
        head.finalise()
        distances = sum(head([x.to(dtype) for x in test]).level_distances).flatten(1).mT.double()
        torch.testing.assert_close(distances, expected, rtol=RTOL[dtype], atol=100 * ATOL[dtype])
