"""Shares of a data set: of a process among several, of a job among several."""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from torch.utils.data import Sampler

from padim.data.ahead import AheadLoader

T = TypeVar("T")


class ShareLoader(AheadLoader):
    """Batches of the images that ``sampler`` lists, which may be none."""

    def __len__(self) -> int:
        """At least 1: where there is no batch Lightning leaves out the hooks, in which the other processes wait."""
        return max(1, super().__len__())


class Shuffled(Sampler[int]):
    """Some indices, each epoch in another order, which depends on the seed and the epoch alone."""

    def __init__(self, indices: Sequence[int], seed: int) -> None:
        self.indices, self.seed, self.epoch = indices, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Which Lightning calls."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.indices))
        return (self.indices[i] for i in order.tolist())


def shard_of(items: list[T], shard: str | None) -> list[T]:
    """The third of sixteen interleaved parts, for ``shard`` "3/16"; all for None."""
    if shard is None:
        return items
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", shard)
    number, shards = map(int, match.groups()) if match else (1, 0)
    if number > shards:
        raise ValueError(f"dataset.shard={shard}; it must be like 3/16, the third of sixteen, or null for all images")
    return items[number - 1 :: shards]


def share_of(indices: Sequence[int], rank: int, ranks: int) -> Sequence[int]:
    """Those of one process: of sizes that differ by one at most, so that some may be empty; none twice."""
    return indices[rank::ranks]
