"""A run in Weights & Biases."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from padim.evaluation import RATES


class WandbRun(WandbLogger):
    """Lightning's logger of W&B, for one job of a sweep: it knows when to give up, and leaves nothing to the next job.

    Args:
        save_dir: folder that gets a folder ``wandb``.
        project, entity, group, job_type, name, tags: where W&B lists the run, see ``wandb.init``.
        offline: keep the run on the disk, to be sent by ``wandb sync``.
        log_model: keep the checkpoint too, as an artifact.
        init_timeout: seconds within which the server must answer at the start.
        finish_timeout: seconds that sending may take at the end. What is left stays on the disk, for ``wandb sync``.
    """

    def __init__(
        self,
        save_dir: str | Path,
        project: str,
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        offline: bool = True,
        log_model: bool = False,
        init_timeout: float = 10.0,
        finish_timeout: float = 600.0,
    ) -> None:
        # Lightning's own offline=True sets WANDB_MODE for all later jobs of the process, and refuses artifacts, which
        # can be synced as well as the rest. Unless quiet, the client waits for the server twice more, to say who logs.
        settings = wandb.Settings(init_timeout=init_timeout, finish_timeout=finish_timeout, quiet=not offline)
        listed: dict[str, Any] = {"entity": entity, "group": group, "job_type": job_type, "tags": list(tags)}
        mode = "offline" if offline else "online"
        super().__init__(name, save_dir, project=project, mode=mode, settings=settings, **listed)
        self._offered, self._init_timeout = log_model, init_timeout

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Keep the configuration. The first thing that is logged, so it finds out whether there is a server."""
        try:
            super().log_hyperparams(params)
        except wandb.Error as error:
            raise ConnectionError(
                f"W&B gave no run, within logger.init_timeout={self._init_timeout:g} seconds: {error}\n"
                f"Without network leave logger.offline=true, and run `wandb sync` on the output later; WANDB_BASE_URL "
                f"names another server"
            ) from error

    @rank_zero_only
    def log_rows(self, key: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Keep a table. Unlike Lightning's log_table it takes columns such as pool, of numbers and words."""
        table = wandb.Table(list(header), [list(row) for row in rows], allow_mixed_types=True)
        self.experiment.log({key: table})

    @rank_zero_only
    def log_curves(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Draw each as a chart of true over false positive rates, at :data:`padim.evaluation.RATES`."""
        for name, rates in curves.items():
            points = wandb.Table(["fpr", "tpr"], [list(point) for point in zip(RATES.tolist(), rates, strict=True)])
            self.experiment.log({name: wandb.plot.line(points, "fpr", "tpr", title=name)})

    @rank_zero_only
    def log_checkpoint(self, path: Path) -> None:
        """Keep it as an artifact, if that was asked for."""
        if self._offered:
            artifact = wandb.Artifact(f"padim-{self.experiment.id}", type="model")
            artifact.add_file(str(path), policy="immutable")  # no copy of a large file that stays as it is
            self.experiment.log_artifact(artifact)

    def close(self, failed: bool) -> None:
        """End the run; a process holds one at a time, and the next job would log into it."""
        wandb.finish(exit_code=int(failed))
