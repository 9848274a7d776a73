"""What follows a run: a trainer whose logger is closed whatever happens."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger

from padim.commands.trainer import make_trainer
from padim.commands.wandb_run import WandbRun
from padim.kinds import Kind

rank_zero = logging.getLogger("pytorch_lightning.utilities.rank_zero")

NAME_LENGTH = 128
"""W&B takes no longer name."""

EXPECTED_WARNINGS = (
    "Found .* module.* in eval mode",  # a frozen backbone has no training mode
    "The '.*_dataloader' does not have many workers",  # they would compete with the backbone for the same cores
    "Experiment logs directory .* exists and is not empty",  # a run into its folder again writes everything anew
    "The `srun` command is available",  # SLURM is installed, and this is no job of it
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 on torch 2.15, at every batch
)


@contextmanager
def logged_trainer(config: DictConfig, output_dir: Path) -> Iterator[Trainer]:
    """The configured trainer."""
    with logged_trainers(config, output_dir) as (new_trainer, _):
        yield new_trainer()


@contextmanager
def logged_trainers(config: DictConfig, output_dir: Path) -> Iterator[tuple[Callable[[], Trainer], Logger]]:
    """Makes configured trainers with one logger, which is closed at the end, lest it leak into the next job of a sweep.

    A trainer counts its epochs: a second fit takes a second trainer.
    """
    level = rank_zero.level
    failed = True
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        rank_zero.setLevel(logging.WARNING)  # no advertisements
        logger = instantiate(config.logger, save_dir=output_dir, **_listed(config.logger, output_dir))
        try:
            logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
            yield lambda: make_trainer(config.trainer, logger), logger
            failed = False
        finally:
            rank_zero.setLevel(level)
            logger.finalize("failed" if failed else "success")
            if isinstance(logger, WandbRun):
                logger.close(failed)


def _listed(logger: DictConfig, output_dir: Path) -> dict[str, str]:
    """Where W&B lists the run, as far as the configuration leaves it open: group, job type and name."""
    if "job_type" not in logger or not HydraConfig.initialized():
        return {}
    hydra = HydraConfig.get()
    left_out = {"logger", *hydra.job.config.override_dirname.exclude_keys}
    given = {override: override.lstrip("+~").partition("=")[0] for override in hydra.overrides.task}
    name = ",".join(override for override, key in given.items() if not left_out & {key, key.split(".")[0]})
    listed = {"job_type": hydra.job.name, "name": name[:NAME_LENGTH] or output_dir.name}
    if hydra.mode == RunMode.MULTIRUN:
        listed["group"] = Path(hydra.sweep.dir).absolute().name
    return {key: value for key, value in listed.items() if logger[key] is None}


def log_test(
    loggers: Sequence[Logger],
    facts: Mapping[str, float],
    kinds: Sequence[Kind],
    curves: Mapping[str, Sequence[float]],
    picture: Path,
) -> None:
    """The numbers to every logger, which has the metrics from the module; to W&B the rest as well."""
    for logger in loggers:
        logger.log_metrics(dict(facts))
        if isinstance(logger, WandbRun):
            logger.log_rows("kinds", Kind._fields, kinds)
            logger.log_curves(curves)
            if picture.exists():
                logger.log_image("extremes", [str(picture)])
