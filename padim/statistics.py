"""The state of a fit: moments of the embeddings, level by level."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from padim import derivation, gaussian, pyramid
from padim.derivation import State, covers
from padim.embedding import Embedding
from padim.gaussian import Moments
from padim.grids import Level, plan_levels
from padim.precision import full_precision, require_finite

Change = Callable[[Moments, Tensor], Moments]
""":func:`padim.gaussian.update` or :func:`padim.gaussian.remove`."""


class LevelMoments(nn.Module):
    """Mean and scatter of one level; None until an image comes, where they are not to be saved."""

    mean: Tensor | None
    scatter: Tensor | None

    def __init__(self, size: tuple[int, int, int], saved: bool) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", None, persistent=saved)
        self.register_buffer("scatter", None, persistent=saved)
        if saved:
            self._hold(gaussian.identity(*size))

    def _hold(self, moments: Moments) -> Moments:
        self.mean, self.scatter = moments.mean, moments.scatter
        return moments

    def at(self, count: int, like: Tensor) -> Moments:
        """The moments of ``count`` images, on the device and in the type of ``like``."""
        if self.mean is None or self.scatter is None:
            if count:
                raise RuntimeError(f"the statistics of {count} images have been given up; fit again")
            with torch.inference_mode(False):  # whoever updates next may not be in it
                empty = gaussian.identity(*self.size)
                return self._hold(Moments(count, empty.mean.to(like.device), empty.scatter.to(like)))
        return Moments(count, self.mean, self.scatter)

    def drop(self) -> None:
        self.mean = self.scatter = None


class Statistics(nn.Module):
    """Count, mean and scatter of embeddings: all that later choices need of the images.

    Args:
        embedding: what is counted.
        saved: whether a checkpoint holds it.
    """

    count: Tensor

    def __init__(self, embedding: Embedding, saved: bool = True) -> None:
        super().__init__()
        self.embedding = embedding
        self.register_buffer("count", torch.tensor(0))  # saved in any case: what is gone was there
        self.levels = cast(Sequence[LevelMoments], nn.ModuleList(LevelMoments(s, saved) for s in embedding.sizes))

    @property
    def nbytes(self) -> int:
        """Memory of the moments."""
        return sum(
            4 * positions * own * width + 8 * positions * width for positions, own, width in self.embedding.sizes
        )

    @property
    def moments(self) -> list[Moments]:
        """Of each level, coarse to fine, sharing memory with the state."""
        like = self.embedding.projections[0].matrix
        return [level.at(int(self.count), like) for level in self.levels]

    def vectors(self, features: Sequence[Tensor], change: Change) -> list[Tensor]:
        """Own vectors of a batch on each level; raises where the change would, before anything changes.

        Raises:
            ValueError: the features are not finite, or the change is not possible.
            TypeError: the statistics have been cast to another type.
        """
        with full_precision(self.count.device):
            own = self.embedding(features)
        require_finite(own)
        for moments in self.moments:
            if moments.mean.dtype != torch.float64:
                raise TypeError(
                    f"the means of the statistics are {moments.mean.dtype}, in which they drift; leave the model in "
                    "the types that it was made in (trainer.precision=bf16-mixed changes those of its network alone)"
                )
            change(moments.at(slice(0)), own[0].new_empty(0, own[0].shape[1], moments.mean.shape[1]))
        return own

    def fold(self, own: Sequence[Tensor], change: Change) -> None:
        """Add or remove a batch of images."""
        after, batch = None, own[0].shape[1]
        for i, (moments, ancestry) in enumerate(zip(self.moments, self.embedding.ancestry, strict=True)):
            positions, _, width = moments.scatter.shape
            for chunk in pyramid.chunks(positions, batch * width, moments.scatter.device):
                after = change(moments.at(chunk), pyramid.embeddings(own[: i + 1], ancestry, chunk))
        self.count.fill_(cast(Moments, after).count)

    def require_like(self, other: "Statistics") -> None:
        """Raise where the two count other things."""
        if not self.embedding.is_like(other.embedding):
            raise ValueError(
                "cannot merge statistics of other feature maps or channels; fit both with one backbone, layers, image "
                "size, reduction and seed"
            )

    def merge(self, other: "Statistics") -> None:
        """Add the images of another state."""
        self.require_like(other)
        self.add(other.moments)

    def add(self, others: Sequence[Moments]) -> None:
        """Add the images of the moments of each level."""
        merged = [gaussian.merge(*pair) for pair in zip(self.moments, others, strict=True)]
        self.count.fill_(merged[-1].count)

    def serves(self, maps: Sequence[int], matrices: Sequence[Tensor]) -> bool:
        """Whether the statistics of this embedding of these feature maps follow from what is counted here.

        Args:
            maps: which feature maps.
            matrices: of the reduction, (C_m, d_m) for each.
        """
        ours, grids = self.embedding.matrices, self.embedding.grids
        return (
            not self.embedding.mixes
            and covers(self.embedding.plan, plan_levels({m: grids[m] for m in maps}))
            and all(bool((ours[m].count_nonzero(0) == 1).all()) for m in maps)  # channels as they are
            and all(bool(ours[m].any(1)[matrix.any(1)].all()) for m, matrix in zip(maps, matrices, strict=True))
        )

    def derive(self, embedding: Embedding, plan: tuple[Level, ...]) -> State:
        """The statistics of another embedding of these feature maps, which learns its reduction first if it has one to.

        Args:
            embedding: of channels that are counted.
            plan: the levels of its feature maps.
        """
        ours = self.embedding
        state = State(ours.plan, ours.widths, self.moments)
        if ours.is_like(embedding):
            return state
        kept = {m: ours.matrices[m].mT for m in embedding.maps}  # (d_m, C_m)
        if not embedding.mixes:
            chosen = {m: kept[m] @ matrix for m, matrix in embedding.matrices.items()}
            return derivation.project(state, chosen, plan)
        if ours.maps != embedding.maps:
            state = derivation.project(state, kept, plan)
        if embedding.learnt:
            embedding.learn(derivation.total(state)[0], plan)
        return derivation.mix(state, embedding.matrices)

    def drop(self) -> None:
        """Give the memory back."""
        for level in self.levels:
            level.drop()
