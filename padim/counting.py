"""Changes of the statistics of heads: each state sees an image once, and what is refused changes nothing."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from padim.statistics import Change, Statistics


@runtime_checkable
class Counted(Protocol):
    """A head, as far as its statistics go.

    Attributes:
        statistics: which other heads may share.
        fitted: images in the whitening; 0 where that is out of date.
    """

    statistics: Statistics
    fitted: Tensor

    def require_state(self) -> None:
        """Raise where the statistics are gone."""


def fold(heads: Sequence[Counted], features: Sequence[Tensor], change: Change) -> None:
    """Add or remove a batch of images."""
    for head in heads:
        head.require_state()
    own = {statistics: statistics.vectors(features, change) for statistics in _statistics(heads)}
    for head in heads:
        head.fitted.zero_()
    for statistics, vectors in own.items():
        statistics.fold(vectors, change)


def merge(heads: Sequence[Counted], others: Sequence[Counted]) -> None:
    """Add the statistics of other heads."""
    for head in [*heads, *others]:
        head.require_state()
    ours, theirs = _statistics(heads), _statistics(others)
    if len(ours) != len(theirs):
        raise ValueError(f"cannot merge {len(theirs)} statistics into {len(ours)}; fit both with the same heads")
    for mine, its in zip(ours, theirs, strict=True):
        mine.require_like(its)
    for head in heads:
        head.fitted.zero_()
    for mine, its in zip(ours, theirs, strict=True):
        mine.merge(its)


def _statistics(heads: Sequence[Counted]) -> list[Statistics]:
    return list(dict.fromkeys(head.statistics for head in heads))
