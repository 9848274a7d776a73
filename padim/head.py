"""One PaDiM on given feature maps: reduction, statistics, whitening -> anomaly map, level maps, score."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from padim import gaussian, pyramid, scoring
from padim.gaussian import Moments
from padim.grids import Grid, ancestry, plan_levels
from padim.reduction import Projection, draw_channels


class Prediction(NamedTuple):
    """What a head says of a batch of images.

    Attributes:
        score: (B,) the maximum of the anomaly map.
        anomaly_map: (B, H, W) smoothed Mahalanobis distance (not squared) at the image's size.
        level_distances: (B, L, h, w) |z_l|^2 / M on the finest grid, coarse level first; over the levels they sum to M.
    """

    score: Tensor
    anomaly_map: Tensor
    level_distances: Tensor


class LevelGaussian(nn.Module):
    """The constants of one level of the pyramid: its moments, and the whitening made from them.

    Without ``save_state`` the whitening is written over the scatter, which halves the memory and ends the updates.
    """

    mean: Tensor
    scatter: Tensor | None
    whitening: Tensor
    bias: Tensor
    ancestry: Tensor

    def __init__(self, own: int, channels: int, ancestry: Tensor, save_state: bool) -> None:
        super().__init__()
        moments = gaussian.identity(ancestry.shape[1], own, channels)
        scatter = moments.scatter
        self.register_buffer("mean", moments.mean)
        self.register_buffer("scatter", scatter if save_state else None)
        self.register_buffer("whitening", torch.full_like(scatter, torch.nan) if save_state else scatter)
        self.register_buffer("bias", torch.full(scatter.shape[:2], torch.nan))
        self.register_buffer("ancestry", ancestry, persistent=False)  # (coarser levels, P)

    def moments(self, count: int) -> Moments:
        return Moments(count, self.mean, self.whitening if self.scatter is None else self.scatter)


class Head(nn.Module):
    """PaDiM's statistics of one set of feature maps. It knows nothing of the network that made them.

    Args:
        channels: channels of each feature map.
        grids: height and width of each feature map.
        image_size: height and width of the anomaly map.
        reduction: ``none`` or ``random``, see :func:`padim.reduction.draw_channels`.
        dim: how many channels ``random`` keeps.
        seed: of the channel draw.
        eps: added to the diagonal of every covariance (PaDiM, equation 1).
        sigma: of the Gaussian filter on the anomaly map, in pixels.
        interpolation: of the anomaly map, ``bicubic`` or ``bilinear``.
        save_state: keep the statistics beside the whitening, for later updates.
    """

    count: Tensor
    fitted: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[Grid],
        image_size: Grid,
        *,
        reduction: str = "none",
        dim: int | None = None,
        seed: int = 0,
        eps: float = 0.01,
        sigma: float = 4.0,
        interpolation: str = "bicubic",
        save_state: bool = True,
    ) -> None:
        super().__init__()
        if eps < 0:
            raise ValueError(f"eps is {eps}; it is added to variances and must be 0 or more (the paper's is 0.01)")
        self.eps, self.save_state = eps, save_state
        self.grids, self.plan = tuple(grids), plan_levels(grids)
        self.shapes = [(c, *grid) for c, grid in zip(channels, grids, strict=True)]
        kept = draw_channels(reduction, channels, dim, seed)
        self.reduction = nn.ModuleList(Projection(c, index) for c, index in zip(channels, kept, strict=True))
        self.register_buffer("count", torch.tensor(0))  # images in the moments
        self.register_buffer("fitted", torch.tensor(0))  # images in the whitening; 0 where that is out of date

        width, finest = 0, self.plan[-1].grid
        levels = []
        for i, level in enumerate(self.plan):
            own = sum(len(kept[m]) for m in level.maps)
            width += own
            levels.append(LevelGaussian(own, width, ancestry(self.plan, i), save_state))
        self.levels = cast(Sequence[LevelGaussian], nn.ModuleList(levels))
        for axis, name in enumerate(("rows", "columns")):
            matrix = scoring.smoothing_matrix(image_size[axis], finest[axis], sigma, interpolation)
            self.register_buffer(name, matrix.float(), persistent=False)

    def own_vectors(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Own channels of each level on its own grid, (P_l, B, d_l), coarse to fine."""
        found = [tuple(feature.shape[1:]) for feature in features]
        if found != self.shapes:
            raise ValueError(
                f"feature maps are {found} (channels, height, width); this head was made for {self.shapes}"
            )
        vectors = [project(feature) for project, feature in zip(self.reduction, features, strict=True)]
        return pyramid.own_vectors(vectors, self.grids, self.plan)

    def update(self, features: Sequence[Tensor]) -> None:
        """Add a batch of images to the statistics; then :meth:`finalise` again."""
        self._fold(features, gaussian.update)

    def remove(self, features: Sequence[Tensor]) -> None:
        """Take images that went in out again; then :meth:`finalise` again."""
        self._fold(features, gaussian.remove)

    def _fold(self, features: Sequence[Tensor], fold: Callable[[Moments, Tensor], Moments]) -> None:
        self._require_state()
        own, count = self.own_vectors(features), int(self.count)
        self.fitted.zero_()
        batch = own[0].shape[1]
        for i, level in enumerate(self.levels):
            moments = level.moments(count)
            positions, _, width = moments.scatter.shape
            for chunk in pyramid.chunks(positions, batch * width, moments.scatter.device):
                after = fold(moments.at(chunk), pyramid.embeddings(own[: i + 1], level.ancestry, chunk))
        self.count.fill_(after.count)

    def merge(self, other: "Head") -> None:
        """Add the statistics of another head, of other images; then :meth:`finalise` again."""
        self._require_state()
        other._require_state()
        draws = zip(self.reduction.buffers(), other.reduction.buffers(), strict=False)
        if self.shapes != other.shapes or not all(torch.equal(mine, theirs) for mine, theirs in draws):
            raise ValueError(
                "cannot merge statistics of other feature maps or channels; fit both with one backbone, layers, image "
                "size, reduction and seed"
            )
        self.fitted.zero_()
        for mine, theirs in zip(self.levels, other.levels, strict=True):
            after = gaussian.merge(mine.moments(int(self.count)), theirs.moments(int(other.count)))
        self.count.fill_(after.count)

    def finalise(self) -> None:
        """Turn the statistics into whitening rows, coarse to fine (PaDiM, equation 1)."""
        self._require_state()
        self.fitted.fill_(0 if self.save_state else -1)  # -1: the statistics are being overwritten
        for i, level in enumerate(self.levels):
            coarser = [lower.whitening for lower in self.levels[:i]]
            pyramid.whiten_level(level.moments(int(self.count)), self.eps, coarser, level.ancestry, level.whitening)
            mean = level.mean.to(level.whitening.dtype)
            level.bias.copy_(torch.bmm(level.whitening, mean[..., None])[..., 0]).neg_()
        self.fitted.copy_(self.count)

    def forward(self, features: Sequence[Tensor]) -> Prediction:
        """Score a batch; the distances are PaDiM's equation 2."""
        if int(self.fitted) <= 0:
            raise RuntimeError(
                f"the model is not fitted to the {int(self.count)} images in its statistics; call update() with normal "
                "images, then finalise(), and finalise() again after every change"
            )
        squared = self._squared_distances(self.own_vectors(features))
        distance = squared.sum(1).sqrt()
        level_distances = squared / distance.clamp_min(torch.finfo(distance.dtype).tiny)[:, None]  # 0 / 0 is 0 here
        anomaly_map = self.smooth(distance)
        return Prediction(scoring.image_score(anomaly_map), anomaly_map, level_distances)

    def smooth(self, distances: Tensor) -> Tensor:
        """Bring distances on the finest grid, (..., h, w), to the image's size, (..., H, W)."""
        return scoring.anomaly_map(distances, self.rows, self.columns)

    def _squared_distances(self, own: list[Tensor]) -> Tensor:
        """|z_l|^2 of every level on the finest grid, (B, L, h, w)."""
        finest = self.levels[-1].ancestry
        levels = []
        for i, level in enumerate(self.levels):
            squared = pyramid.level_distances(own[: i + 1], level.ancestry, level.whitening, level.bias)  # (P_l, B)
            levels.append(squared.index_select(0, finest[i]) if i < len(finest) else squared)
        return torch.stack(levels).permute(2, 0, 1).reshape(-1, len(levels), *self.plan[-1].grid)

    def _require_state(self) -> None:
        if not self.save_state and int(self.fitted):
            raise RuntimeError(
                "this head has overwritten its statistics with their whitening (save_state=false), so that they can no "
                "longer change; fit again with save_state=true"
            )
