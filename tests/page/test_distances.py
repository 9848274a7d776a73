"""What is read from the distances, on Gaussian feature maps, where the law is known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from padim.covariance import Covariance
from padim.data.samples import ImageDataset
from padim.head import Head
from padim.heads import LayerSum
from padim.method import Method
from padim.reduction import make_reduction
from padim.run_page.distances import CHI_SQUARED, HOTELLING, OBSERVED, PROBABILITIES, Reading, read_distances
from padim.scoring import Prediction

CHANNELS, GRIDS, SIZE = (3, 4), ((8, 8), (4, 4)), (16, 16)
FITTED = 60


class Gaussian(Method):
    """A model whose feature maps are drawn by the seed that is an image's first value."""

    name = "gaussian"

    def __init__(self, head: nn.Module, levels: tuple[str, ...] = ("coarse", "fine")) -> None:
        super().__init__()
        self.head, self.names = head, levels
        head.update(self.features(range(1000, 1000 + FITTED)))  # type: ignore[operator]
        head.finalise()  # type: ignore[operator]

    @property
    def levels(self) -> tuple[str, ...]:
        return self.names

    def features(self, seeds: Any) -> list[Tensor]:
        images = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        maps = zip(CHANNELS, GRIDS, strict=True)
        return [torch.stack([torch.randn(c, *grid, generator=one) for one in images]) for c, grid in maps]

    def forward(self, images: Tensor) -> Prediction:
        return self.head(self.features(images[:, 0, 0, 0]))

    def level_maps(self, prediction: Prediction) -> Tensor:
        return self.head.level_maps(prediction)  # type: ignore[operator]


class Images(ImageDataset):
    """Images whose first value is their index."""

    def __init__(self, valid: Tensor | None = None) -> None:
        self.valid = torch.ones(SIZE, dtype=torch.bool) if valid is None else valid

    def __getitem__(self, index: int) -> Any:
        return SimpleNamespace(image=torch.full((3, *SIZE), index, dtype=torch.uint8), valid=self.valid)


def head(**options: Any) -> Head:
    return Head(CHANNELS, GRIDS, SIZE, **{"covariance": Covariance(eps=1e-6)} | options)


def read(*arguments: Any) -> dict[str, Reading]:
    """Where all that there is can be read."""
    readings = read_distances(*arguments)
    assert None not in readings.values()
    return readings  # type: ignore[return-value]


@pytest.fixture(scope="module")
def model() -> Gaussian:
    return Gaussian(head())


def test_gaussian_features_obey_the_law_of_so_many_images(model: Gaussian) -> None:
    ((name, reading),) = read(model, Images(), range(100), 7).items()
    assert (name, reading.channels, reading.fitted) == ("coarse + fine", 7, FITTED)
    assert (reading.images, reading.patches) == (16, 16 * 64)
    middle = slice(9, -9)
    np.testing.assert_allclose(reading.quantiles[OBSERVED][middle], reading.quantiles[HOTELLING][middle], rtol=0.12)
    np.testing.assert_allclose(reading.above[OBSERVED], reading.above[HOTELLING], atol=0.02)
    assert reading.above[HOTELLING][0] > 0.075 > reading.above[CHI_SQUARED][0] == 0.05
    assert reading.medians[CHI_SQUARED] == pytest.approx(stats.chi2(7).median())


def test_what_is_observed_are_the_squared_distances_of_these_patches(model: Gaussian) -> None:
    """Whatever the batches; half of each image is padding, and a patch across the border counts as such."""
    valid = torch.zeros(SIZE, dtype=torch.bool)
    valid[:, :7] = True  # three patches of two pixels, and half of one
    (reading,) = read(model, Images(valid), [3, 5], 1).values()
    distances = torch.stack(model(torch.tensor([3, 5])[:, None, None, None]).level_distances).sum(0)
    assert reading.patches == 2 * 8 * 3
    expected = np.quantile(distances[:, :, :3].double().square().numpy(), PROBABILITIES)
    np.testing.assert_allclose(reading.quantiles[OBSERVED], expected, rtol=1e-6)


def test_each_gaussian_model_of_a_sum_is_read_by_itself() -> None:
    parts = [head(maps=[m], reduction=None) for m in (1, 0)]
    readings = read(Gaussian(LayerSum(parts)), Images(), range(4), 4)
    counts = [(name, one.channels, one.patches) for name, one in readings.items()]
    assert counts == [("coarse", 4, 64), ("fine", 3, 256)]


def test_where_each_patch_has_padding_in_it_there_is_no_reading() -> None:
    """It was an IndexError, at the end of a good run: a band of the height of a coarse patch, but across two."""
    valid = torch.zeros(SIZE, dtype=torch.bool)
    valid[6:10] = True
    parts = [head(maps=[m], reduction=None) for m in (1, 0)]
    readings = read_distances(Gaussian(LayerSum(parts)), Images(valid), range(4), 4)
    assert readings["coarse"] is None
    assert readings["fine"] is not None
    assert readings["fine"].patches == 4 * 2 * 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"covariance": Covariance("diagonal")},
            "no law is known of this estimate of the covariance (diagonal",
        ),
        ({"covariance": Covariance(pool=3)}, "no law is known of this estimate"),
        ({"reduction": make_reduction("pca", CHANNELS, 3)}, "have chosen the axes (pca) too"),
    ],
)
def test_where_no_law_is_known_it_is_said(options: dict[str, Any], said: str) -> None:
    of_head = head(**options)
    (reading,) = read(Gaussian(of_head, tuple("ab"[: len(of_head.levels)])), Images(), [0, 1], 2).values()
    assert set(reading.quantiles) == set(reading.above) == {CHI_SQUARED, OBSERVED}
    assert said in reading.remark


def test_there_is_nothing_to_read_without_gaussians_or_images(model: Gaussian) -> None:
    assert read_distances(model, Images(), [], 4) == {}
    without = Gaussian(head())
    without.head = nn.Identity()
    assert read_distances(without, Images(), [0], 4) == {}
