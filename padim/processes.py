"""Several processes that share the images of one fit or test: each takes its share, and none is padded or repeated."""

import os
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
import torch.distributed
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from padim import gaussian
from padim.gaussian import Moments
from padim.statistics import Statistics

T = TypeVar("T")


class SharingStrategy(DDPStrategy):
    """Distributed data parallel without the parallel gradients: there is none to average."""

    def configure_ddp(self) -> None:
        """Leave the module as it is; torch's wrapper refuses one without trainable parameters."""


def merge_ranks(all_statistics: Iterable[Statistics]) -> None:
    """Give every rank the statistics of the images of all; ranks without an image are fine.

    Each rank brings its scatter to the common mean, and then they add up: what :func:`padim.gaussian.merge` does for
    two, without sending the statistics to one rank and without holding those of two ranks at once.
    """
    if not _several():
        return
    for statistics in all_statistics:
        count = int(_sum(statistics.count.clone()))
        if count:
            for moments in statistics.moments:
                _merge_level(moments, count)
        statistics.count.fill_(count)


def _merge_level(moments: Moments, count: int) -> None:
    share = moments.mean.nan_to_num() * (moments.count / count)  # of no image the mean may be NaN
    _sum(gaussian.recentre(moments, _sum(share)).scatter)


def gather(value: T) -> list[T]:
    """The value of every rank, in their order, on every rank."""
    if not _several():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def require_tasks(trainer: Trainer) -> None:
    """Raise where SLURM has started another number of processes than the trainer counts on.

    Too many would each do the whole run, into one folder; with too few the trainer waits for the others for ever.
    """
    if not SLURMEnvironment.detect():
        return
    tasks = int(os.environ["SLURM_NTASKS"])
    if tasks != trainer.world_size:
        raise ValueError(
            f"SLURM has started {tasks} tasks, and trainer.devices x trainer.num_nodes is {trainer.world_size}; they "
            f"must be equal: set hydra.launcher.tasks_per_node and nodes, or trainer=ddp trainer.devices, to match"
        )


def _several() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _sum(tensor: Tensor) -> Tensor:
    """Over all ranks, in place."""
    torch.distributed.all_reduce(tensor)
    return tensor
