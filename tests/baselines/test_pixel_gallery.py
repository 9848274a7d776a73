"""Nearest pixels: those of plain loops, whatever the grids, the chunks and the batches."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from padim import pyramid
from padim.baselines.pixel_gallery import PixelGallery
from padim.grids import Grid
from tests.reference import replicate

CHANNELS = (2, 3, 5)
NEAREST = torch.tensor([[3, 0], [1, 2]])
# Nested; not uniform, so that some positions stand twice in the order of the search; folded; equal; rectangular; one.
GRIDS: list[tuple[Grid, ...]] = [
    ((8, 8), (4, 4), (2, 2)),
    ((7, 7), (4, 4), (2, 2)),
    ((7, 7), (5, 5), (3, 3)),
    ((6, 6), (3, 3), (3, 3)),
    ((4, 8), (2, 4), (1, 2)),
    ((5, 3),),
]
each_grid = pytest.mark.parametrize("grids", GRIDS, ids=str)


def drawn(grids: tuple[Grid, ...], count: int, seed: int) -> list[Tensor]:
    """Feature maps of some images."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(count, channels, *grid, generator=generator)
        for channels, grid in zip(CHANNELS, grids, strict=False)
    ]


def filled(grids: tuple[Grid, ...], features: list[Tensor], split: int = 2) -> PixelGallery:
    gallery = PixelGallery(CHANNELS, grids, range(len(grids)))
    for part in zip(*(feature.split(split) for feature in features), strict=True):
        gallery.add(part)
    gallery.finalise()
    return gallery


def pixels(features: list[Tensor]) -> list[list[list[list[float]]]]:
    """[image][position][feature map][channel] on the finest grid."""
    full = [replicate(feature, features[0].shape[2:]).double().flatten(2).permute(0, 2, 1) for feature in features]
    return [list(map(list, zip(*image, strict=True))) for image in zip(*(f.tolist() for f in full), strict=True)]


def by_hand(query: list[list[float]], known: list[list[list[float]]]) -> float:
    """The squared distance to the nearest of some pixels."""
    nearest = float("inf")
    for other in known:
        total = 0.0
        for mine, its in zip(query, other, strict=True):
            for a, b in zip(mine, its, strict=True):
                total += (a - b) ** 2
        nearest = min(nearest, total)
    return nearest


@each_grid
@pytest.mark.parametrize("chunk", [1, 500, 10**9])
def test_distances_are_those_of_plain_loops(
    grids: tuple[Grid, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramid, "CPU_CHUNK", chunk)
    known, queries = drawn(grids, 4, seed=0), drawn(grids, 2, seed=1)
    distances = filled(grids, known)(queries, NEAREST).sum(1).flatten(1)
    by_image = pixels(known)
    for image, of_image in enumerate(pixels(queries)):
        searched = [pixel for i in NEAREST[image].tolist() for pixel in by_image[i]]
        expected = [by_hand(pixel, searched) for pixel in of_image]
        torch.testing.assert_close(distances[image].double(), torch.tensor(expected).double(), rtol=1e-4, atol=1e-5)


@each_grid
def test_pixels_of_a_known_image_are_at_no_distance(grids: tuple[Grid, ...]) -> None:
    """Exactly: |x|^2 - 2 x y + |y|^2 would leave some digits."""
    known = drawn(grids, 4, seed=0)
    assert not filled(grids, known)([feature[[3, 2]] for feature in known], NEAREST).any()


@each_grid
def test_near_pixels_far_from_the_origin_keep_their_digits(grids: tuple[Grid, ...]) -> None:
    known = drawn(grids, 4, seed=0)
    moved = [feature[[3, 2]] + 1e-3 for feature in known]
    distances = filled(grids, [3 + feature for feature in known])([3 + feature for feature in moved], NEAREST)
    expected = 1e-6 * torch.tensor(CHANNELS[: len(grids)]).sum()
    torch.testing.assert_close(distances.sum(1), expected.expand_as(distances.sum(1)), rtol=1e-2, atol=0)


@each_grid
def test_more_images_bring_nothing_farther(grids: tuple[Grid, ...]) -> None:
    """And their order does not matter."""
    gallery, queries = filled(grids, drawn(grids, 4, seed=0)), drawn(grids, 1, seed=1)
    distances = [gallery(queries, torch.arange(count)[None]).sum(1) for count in range(1, 5)]
    for fewer, more in pairwise(distances):
        assert (more <= fewer).all()
    assert torch.equal(gallery(queries, torch.tensor([[2, 0, 3, 1]])).sum(1), distances[-1])


@each_grid
def test_neither_batches_nor_files_change_anything(grids: tuple[Grid, ...]) -> None:
    known, queries = drawn(grids, 4, seed=0), drawn(grids, 2, seed=1)
    gallery = filled(grids, known)
    expected = gallery(queries, NEAREST)
    for i in range(2):
        assert torch.equal(
            gallery([feature[i : i + 1] for feature in queries], NEAREST[i : i + 1]), expected[i : i + 1]
        )
    for assign in (False, True):
        loaded = filled(grids, drawn(grids, 1, seed=2))
        loaded.load_state_dict(gallery.state_dict(), assign=assign)
        assert torch.equal(loaded(queries, NEAREST), expected)
    assert torch.equal(filled(grids, known, split=3)(queries, NEAREST), expected)


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, list | tuple) else [result]
        for made, returned in zip(results, func._schema.returns, strict=False):
            if isinstance(made, Tensor) and returned.alias_info is None:  # no view, and not in place
                self.numbers = max(self.numbers, made.numel())
        return result


@pytest.mark.parametrize("chunk", [10_000, 50_000])
def test_memory_is_bounded(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 65536 distances to each of the images."""
    monkeypatch.setattr(pyramid, "CPU_CHUNK", chunk)
    grids = ((16, 16), (8, 8), (4, 4))
    gallery = filled(grids, drawn(grids, 20, seed=0))
    with Largest() as largest:
        gallery(drawn(grids, 1, seed=1), torch.arange(20)[None])
    assert 0.4 * chunk < largest.numbers <= chunk


def test_each_pair_of_coarse_positions_counts_once() -> None:
    """What makes it several times faster than the joined vectors: the products are those of each level's own grid."""
    grids = GRIDS[0]
    with Products() as products:
        filled(grids, drawn(grids, 4, seed=0))(drawn(grids, 1, seed=1), torch.arange(4)[None])
    positions = [height * width for height, width in grids]
    assert products.count == 4 * sum(p * p * c for p, c in zip(positions, CHANNELS, strict=True))


class Products(TorchDispatchMode):
    """How many multiplications the matrix products take."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.addmm, torch.ops.aten.addmm_):
            (rows, inner), columns = args[1].shape, args[2].shape[1]
            self.count += rows * inner * columns
        return func(*args, **(kwargs or {}))
