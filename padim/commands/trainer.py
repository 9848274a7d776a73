"""The trainer of a run, once it is known that its processes will find one another."""

from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import SLURMEnvironment

from padim.checkpoint import AtomicCheckpointIO
from padim.processes import require_tasks


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """An attribute that Lightning does not declare."""
    return cast(Any, trainer).callbacks


def make_trainer(config: DictConfig, logger: Logger) -> Trainer:
    """The configured trainer."""
    trainer: Trainer = instantiate(config, logger=logger, plugins=[AtomicCheckpointIO()])
    require_tasks(trainer)
    if not HydraConfig.initialized():
        return trainer
    hydra = HydraConfig.get()
    in_sweep, launcher = hydra.mode == RunMode.MULTIRUN, hydra.runtime.choices["hydra/launcher"]
    if not in_sweep and launcher != "basic":
        raise ValueError(f"hydra/launcher={launcher} launches the jobs of a sweep, and this is none: add -m")
    if trainer.world_size > 1 and in_sweep and not SLURMEnvironment.detect():
        raise ValueError(
            "trainer=ddp in a sweep needs hydra/launcher=slurm_cpu or slurm_gpu: Lightning starts the other processes "
            "by the command as it was given, so that each would run the whole sweep; or run the jobs one by one"
        )
    return trainer
