"""One PaDiM on given feature maps: statistics -> whitening -> anomaly map, level maps, score."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from padim import gaussian, pyramid, scoring
from padim.counting import fold, merge
from padim.covariance import ALL, Covariance
from padim.derivation import State
from padim.embedding import Embedding, counted
from padim.grids import Grid, plan_levels
from padim.precision import full_precision
from padim.reduction import Reduction, make_reduction
from padim.scoring import Prediction
from padim.statistics import Statistics
from padim.whitening import LevelWhitening

log = logging.getLogger(__name__)


class Head(nn.Module):
    """PaDiM on one set of feature maps. It knows nothing of the network that made them.

    Args:
        channels: channels of each feature map.
        grids: height and width of each feature map.
        image_size: height and width of the anomaly map.
        reduction: of the channels of ``maps``, see :func:`padim.reduction.make_reduction`; none by default.
        covariance: how it is estimated.
        sigma: of the Gaussian filter on the anomaly map, in pixels.
        interpolation: of the anomaly map, ``bicubic`` or ``bilinear``.
        save_state: keep the statistics beside the whitening, for later updates. Without, the whitening is written over
            them where it has their shape, which halves the memory.
        maps: which of the feature maps it reads; all by default.
        statistics: of at least these feature maps and channels, shared with other heads; its own by default.

    Attributes:
        leaves_one_out: score images that are in the statistics by those of the others, see :mod:`padim.leave_one_out`.
    """

    fitted: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[Grid],
        image_size: Grid,
        *,
        reduction: Reduction | None = None,
        covariance: Covariance | None = None,
        sigma: float = 4.0,
        interpolation: str = "bicubic",
        save_state: bool = True,
        maps: Sequence[int] | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        super().__init__()
        maps = list(range(len(channels))) if maps is None else list(maps)
        used = [channels[m] for m in maps]
        reduction = reduction or make_reduction("none", used)
        self.covariance, self.save_state = covariance or Covariance(), save_state
        self.leaves_one_out = False
        embed = partial(Embedding, channels, grids, maps)
        self.embedding = embed(reduction, one_level=not self.covariance.shared)
        if statistics is None:
            statistics = Statistics(embed(counted(reduction, used)), save_state)
        elif not save_state or not statistics.serves(maps, reduction.matrices):
            raise ValueError(
                "these statistics do not serve this head: shared ones hold at least its feature maps, on its grids, "
                "and its channels as they are, and are never overwritten (save_state=true)"
            )
        self.statistics, self.plan = statistics, plan_levels({m: grids[m] for m in maps})
        self.register_buffer("fitted", torch.tensor(0))  # images in the whitening; 0 where that is out of date
        sizes = [(1 if self.covariance.pool == ALL else size[0], *size[1:]) for size in self.embedding.sizes]
        self.levels = cast(Sequence[LevelWhitening], nn.ModuleList(LevelWhitening(*size) for size in sizes))
        for axis, name in enumerate(("rows", "columns")):
            grid = self.embedding.plan[-1].grid[axis]
            matrix = scoring.smoothing_matrix(image_size[axis], grid, sigma, interpolation)
            self.register_buffer(name, matrix.float(), persistent=False)

    @property
    def level_inputs(self) -> list[tuple[int, ...]]:
        """For each level the feature maps that its channels come from."""
        return [level.maps for level in self.embedding.plan]

    @property
    def fits_in_place(self) -> bool:
        """Whether the whitening can take the memory of the statistics, which it does with ``save_state=False``."""
        return self.covariance.shared and self.statistics.embedding.is_like(self.embedding)

    @property
    def nbytes(self) -> int:
        """Memory that the whitening takes beside the statistics."""
        beside = self.save_state or not self.fits_in_place
        return sum(level.whitening.nbytes for level in self.levels if beside)

    @property
    def count(self) -> int:
        """How many images are in the statistics."""
        return int(self.statistics.count)

    def update(self, features: Sequence[Tensor]) -> None:
        """Add a batch of images to the statistics; then :meth:`finalise` again."""
        fold([self], features, gaussian.update)

    def remove(self, features: Sequence[Tensor]) -> None:
        """Take images that went in out again; then :meth:`finalise` again."""
        fold([self], features, gaussian.remove)

    def merge(self, other: "Head") -> None:
        """Add the statistics of another head, of other images; then :meth:`finalise` again."""
        merge([self], [other])

    def finalise(self) -> None:
        """Turn the statistics into whitening rows, coarse to fine (PaDiM, equation 1)."""
        self.require_state()
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 images, found {self.count}; give more training images")
        if len(self.plan) > len(self.levels):
            log.info(
                "With this reduction or covariance the positions under a coarse one share nothing: %d levels become "
                "one on the %d x %d grid, %d MB of whitening.",
                len(self.plan),
                *self.embedding.plan[0].grid,
                self.nbytes / 1e6,
            )
        with full_precision(self.fitted.device):
            state = self.statistics.derive(self.embedding, self.plan)
            self.fitted.fill_(0 if self.save_state else -1)  # -1: the statistics may be being overwritten
            self._whiten(state)
        if not self.save_state:
            self.statistics.drop()
        self.fitted.fill_(self.count)

    def _whiten(self, state: State) -> None:
        expendable = not self.save_state or not self.statistics.embedding.is_like(self.embedding)
        for i, level in enumerate(self.levels):
            coarser = [lower.whitening for lower in self.levels[:i]]
            if self.covariance.shared:
                grid = self.embedding.plan[i].grid
                level.fit(state.moments[i], self.covariance, coarser, self.embedding.ancestry[i], grid, expendable)
            else:
                level.fit_dense(state, self.covariance)

    def forward(self, features: Sequence[Tensor]) -> Prediction:
        """Score a batch; the distances are PaDiM's equation 2."""
        if not torch.compiler.is_compiling() and int(self.fitted) <= 0:  # a graph cannot ask
            raise RuntimeError(
                f"the model is not fitted to the {self.count} images in its statistics; call update() with normal "
                "images, then finalise(), and finalise() again after every change"
            )
        with full_precision(self.fitted.device):
            squared = self._squared_distances(self.embedding(features))
        if self.leaves_one_out:
            squared = gaussian.leave_one_out(squared, self.count)
        distance = squared.sum(1).sqrt()
        level_distances = squared / distance.clamp_min(torch.finfo(distance.dtype).tiny)[:, None]  # 0 / 0 is 0 here
        anomaly_map = self.smooth(distance)
        return Prediction(scoring.image_score(anomaly_map), anomaly_map, level_distances.unbind(1))

    def level_maps(self, prediction: Prediction) -> Tensor:
        """The level distances at the image's size, (B, L, H, W): they add up to the anomaly map."""
        return self.smooth(torch.stack(prediction.level_distances, 1))

    def level_parts(self, prediction: Prediction, pixels: Tensor) -> Tensor:
        """The level maps at one pixel of each image, (B, L), without the rest of them.

        Args:
            pixels: (B, 2), row and column.
        """
        return scoring.map_at(pixels, torch.stack(prediction.level_distances, 1), self.rows, self.columns)

    def smooth(self, distances: Tensor) -> Tensor:
        """Bring distances on the finest grid, (..., h, w), to the image's size, (..., H, W)."""
        return scoring.anomaly_map(distances, self.rows, self.columns)

    def _squared_distances(self, own: list[Tensor]) -> Tensor:
        """|z_l|^2 of every level on the finest grid, (B, L, h, w)."""
        ancestry, grid = self.embedding.ancestry, self.embedding.plan[-1].grid
        levels = [
            pyramid.level_distances(own[: i + 1], ancestry[i], level.whitening, level.bias)  # (P_l, B)
            for i, level in enumerate(self.levels)
        ]
        return torch.stack(self.embedding.replicated(levels)).permute(2, 0, 1).unflatten(-1, grid)

    def require_state(self) -> None:
        """Raise where the statistics are gone."""
        if not self.save_state and int(self.fitted):
            raise RuntimeError(
                "this head has overwritten its statistics with their whitening (save_state=false), so that they can no "
                "longer change; fit again with save_state=true"
            )
