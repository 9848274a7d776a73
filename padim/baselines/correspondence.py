"""The nearest pixels of other images by feature maps of several grids, which are replicated to the finest in effect.

A pixel's features are those of every level at its position, x = [x_0, ..., x_L], coarse first. Their squared distance
is a sum over the levels, |x - y|^2 = |x_0 - y_0|^2 + ... + |x_L - y_L|^2, and what a coarse level adds is the same for
all pixels under one pair of coarse positions: it is computed once for each such pair. This is exact, and of
Wide-ResNet50's 1792 channels it takes a sixth of the products.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from padim.grids import children
from padim.pyramid import chunks


class Found(NamedTuple):
    """Pixels of a gallery, one for each pixel that was looked for.

    Attributes:
        image: which image of the gallery.
        position: which position of the finest level, in the order of :func:`family_order`.
    """

    image: Int[Tensor, " P"]
    position: Int[Tensor, " P"]

    def at(self, places: Int[Tensor, " p"]) -> "Found":
        """What was found for some of the pixels."""
        return Found(self.image[places], self.position[places])


def family_order(coarsest: int, parents: Sequence[Int[Tensor, " _"]]) -> list[Int[Tensor, " _"]]:
    """Positions of each level, coarse first, so that number i lies under number i % n of each coarser level of n.

    The first child of every parent, then the second of every parent, and so on: sums over levels are then plain
    broadcasts. Where parents differ in how many children they have, some positions stand there twice.

    Args:
        coarsest: how many positions the coarsest level has.
        parents: of each finer level, the position of the next coarser level that covers each of its own.
    """
    orders = [torch.arange(coarsest, device="cpu")]
    for parent in parents:
        orders.append(children(parent)[orders[-1]].mT.flatten())
    return orders


def nearest_pixels(
    queries: Sequence[Float[Tensor, "_ _"]], gallery: Sequence[Float[Tensor, "_ _ _"]], images: Int[Tensor, " K"]
) -> Found:
    """For each pixel of one image the nearest among all pixels of some images.

    At once it holds as many distances as :func:`padim.pyramid.chunks` allows, but at least those from the pixels under
    one coarse position to the pixels of one image; and a copy of the features of as many images of the gallery.

    Args:
        queries: features of the image at each level, (P_l, d_l), coarse first, in the order of :func:`family_order`.
        gallery: of all images, (N, P_l, d_l), in the same order.
        images: which of them are searched.
    """
    coarse, fine, device = len(queries[0]), len(queries[-1]), queries[0].device
    by_cell = [level.unflatten(0, (-1, coarse)) for level in queries]  # (P_l / P_0, P_0, d_l)
    best = queries[0].new_full((fine // coarse, coarse), torch.inf)
    which = torch.zeros(best.shape, dtype=torch.long, device=device)
    for some in chunks(len(images), fine**2, device):
        levels = [level[images[some]] for level in gallery]  # (n, P_l, d_l)
        norms = [level.square().sum(-1) for level in levels]
        for cells in chunks(coarse, fine // coarse * len(norms[0]) * fine, device):
            near, place = _distances([level[:, cells] for level in by_cell], levels, norms).min(1)
            near, place = near.view(len(best), -1), place.view(len(best), -1) + some.start * fine
            nearer = near < best[:, cells]
            which[:, cells] = torch.where(nearer, place, which[:, cells])
            best[:, cells] = torch.where(nearer, near, best[:, cells])
    which = which.flatten()
    return Found(images[which // fine], which % fine)


def _distances(
    queries: Sequence[Float[Tensor, "_ c _"]],
    gallery: Sequence[Float[Tensor, "n _ _"]],
    norms: Sequence[Float[Tensor, "n _"]],
) -> Float[Tensor, "Q G"]:
    """Squared distances less |x|^2, which changes no order: the sum of |y_l|^2 - 2 x_l y_l over the levels.

    Args:
        queries: of c coarse positions, and of those under them.
        gallery: of n images, (n, P_l, d_l).
        norms: their |y_l|^2.
    """
    found = queries[0].new_zeros(queries[0].shape[1], len(gallery[0]), 1)  # from each query to each position of a level
    for query, level, norm in zip(queries, gallery, norms, strict=True):
        rows, count, columns = found.shape
        known = found[:, :, None] + norm.view(count, -1, columns)  # (rows, n, children, columns)
        own = query.reshape(-1, query.shape[-1])  # (children rows, d_l)
        sums = known.flatten(1).repeat(len(own) // rows, 1).addmm_(own, level.flatten(0, 1).mT, alpha=-2)
        found = sums.view(len(own), count, -1)
    return found.flatten(1)


def squared_distances(
    queries: Sequence[Float[Tensor, "_ _"]],
    gallery: Sequence[Float[Tensor, "_ _ _"]],
    positions: Int[Tensor, " P"],
    found: Found,
) -> Float[Tensor, "L P"]:
    """What each level adds to the squared distances of pixels from what was found for them.

    Measured as differences, since |x|^2 - 2 x y + |y|^2 loses the digits of near neighbours.

    Args:
        positions: which pixels, by their place in the finest level's order.
        found: for these.
    """
    pairs = [
        (query[positions % len(query)], level[found.image, found.position % len(query)])  # (P, d_l) each
        for query, level in zip(queries, gallery, strict=True)
    ]
    return torch.stack([(query - near).square().sum(1) for query, near in pairs])
