"""The constants that a fit leaves: whitening rows and biases of a level."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from padim import derivation, pyramid
from padim.covariance import ALL, Covariance
from padim.derivation import State
from padim.gaussian import Moments
from padim.grids import Grid


class LevelWhitening(nn.Module):
    """z = W y + bias at each position of one level, or at all positions alike."""

    whitening: Tensor
    bias: Tensor

    def __init__(self, positions: int, own: int, channels: int) -> None:
        super().__init__()
        # Not filled: memory that nobody has written costs nothing, and this is first written when the fit is over.
        self.register_buffer("whitening", torch.empty(positions, own, channels))
        self.register_buffer("bias", torch.full((positions, own), torch.nan))

    def fit(
        self,
        moments: Moments,
        covariance: Covariance,
        coarser: Sequence[Tensor],
        ancestry: Tensor,
        grid: Grid,
        expendable: bool,
    ) -> None:
        """Whiten a level of a pyramid.

        Args:
            moments: of the level.
            covariance: an estimate that is shared under a coarse position.
            coarser: whitening rows of the coarser levels.
            ancestry: (coarser levels, P) the coarser position that covers each position of this level.
            grid: of the level.
            expendable: the scatter may be overwritten, and its memory kept.
        """
        if expendable:
            self.whitening = moments.scatter

        def rows(positions: Tensor) -> Tensor:
            return covariance.estimate(moments.scatter[positions], moments.count)

        pyramid.whiten_level(rows, coarser, ancestry, grid, self.whitening)
        self._set_bias(moments.mean)

    def fit_dense(self, state: State, covariance: Covariance) -> None:
        """Whiten the joined channels of all levels, with a covariance of its own for each position."""
        means = state.moments[-1].mean.new_empty(len(self.whitening), state.channels)

        def rows(members: Tensor) -> Tensor:
            positions = members[:, 0]
            scatter, means[positions], count = derivation.pooled(state, positions, covariance.pool)
            return covariance.estimate(scatter, count)[:, None]

        no_coarser = torch.empty(0, len(means), dtype=torch.long, device=means.device)
        grid = (1, 1) if covariance.pool == ALL else state.plan[-1].grid
        pyramid.whiten_level(rows, [], no_coarser, grid, self.whitening)
        self._set_bias(means)

    def _set_bias(self, mean: Tensor) -> None:
        """bias = -W mean."""
        column = mean.to(self.whitening.dtype)[..., None]
        self.bias.copy_(torch.bmm(self.whitening, column)[..., 0]).neg_()
