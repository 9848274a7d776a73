"""The feature maps of training images, kept one by one, to look for the nearest pixels in."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from padim.baselines.correspondence import family_order, nearest_pixels, squared_distances
from padim.baselines.gallery import Gallery
from padim.grids import Grid, ancestry, plan_levels
from padim.pyramid import own_vectors


class PixelGallery(nn.Module):
    """Feature maps, each on its own grid; where pixels are compared, coarse vectors stand at all that they cover.

    Args:
        channels: of each feature map of the backbone.
        grids: height and width of each.
        maps: which of them are joined.

    Attributes:
        plan: the levels, coarse to fine.
    """

    places: Tensor

    def __init__(self, channels: Sequence[int], grids: Sequence[Grid], maps: Sequence[int]) -> None:
        super().__init__()
        self.grids, self.plan = grids, plan_levels({m: grids[m] for m in maps})
        parents = [ancestry(self.plan, i)[-1] for i in range(1, len(self.plan))]
        orders = family_order(self.plan[0].positions, parents)
        for i, order in enumerate(orders):
            self.register_buffer(f"order{i}", order, persistent=False)
        places = torch.empty(self.plan[-1].positions, dtype=torch.long, device="cpu")
        places[orders[-1]] = torch.arange(len(orders[-1]), device="cpu")  # of each position one of its places
        self.register_buffer("places", places, persistent=False)
        widths = [sum(channels[m] for m in level.maps) for level in self.plan]
        rows = [Gallery(len(order) * width) for order, width in zip(orders, widths, strict=True)]
        self.galleries = cast("Sequence[Gallery]", nn.ModuleList(rows))  # a row is all vectors of an image

    def described(self, features: Sequence[Tensor]) -> list[Float[Tensor, "B _ _"]]:
        """Vectors of each level, (B, P_l, d_l), coarse first, in the order of the search.

        Args:
            features: of the backbone, (B, C_m, h_m, w_m).
        """
        dtype = self.galleries[0].rows.dtype
        vectors = {
            m: features[m].to(dtype).permute(2, 3, 0, 1).flatten(0, 1) for level in self.plan for m in level.maps
        }
        own = own_vectors(vectors, self.grids, self.plan)
        return [level[getattr(self, f"order{i}")].transpose(0, 1).contiguous() for i, level in enumerate(own)]

    def forward(self, features: Sequence[Tensor], images: Int[Tensor, "B K"]) -> Float[Tensor, "B L h w"]:
        """Squared distances of the pixels of each image to the nearest ones among K images, by level, coarse first.

        The sum over the levels is the distance; it is the one that is minimal.

        Args:
            features: of the backbone.
            images: which of the gallery each is compared with, in the order in which they were added.
        """
        levels = self.described(features)
        gallery = [
            part.rows.unflatten(1, level.shape[1:]) for part, level in zip(self.galleries, levels, strict=True)
        ]  # (N, P_l, d_l)
        distances = []
        for *queries, some in zip(*levels, images, strict=True):
            found = nearest_pixels(queries, gallery, some).at(self.places)
            distances.append(squared_distances(queries, gallery, self.places, found))
        return torch.stack(distances).unflatten(2, self.plan[-1].grid)

    def add(self, features: Sequence[Tensor]) -> None:
        """Keep those of some more images, from :meth:`finalise` on."""
        for part, level in zip(self.galleries, self.described(features), strict=True):
            part.add(level.flatten(1))

    def merge_ranks(self) -> None:
        for part in self.galleries:
            part.merge_ranks()

    def finalise(self) -> None:
        for part in self.galleries:
            part.finalise()
