"""hydra/launcher=slurm_cpu and slurm_gpu: a sweep as one job array."""

import logging
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra_plugins.padim_launcher.config import OnInterrupt
from hydra_plugins.padim_launcher.launcher import PadimLauncher

if TYPE_CHECKING:
    from submitit import Job

log = logging.getLogger(__name__)


class PadimSlurmLauncher(PadimLauncher):
    """One job array on SLURM.

    Args:
        on_interrupt: what Ctrl-C does to the array.
        params: the other keys of the configuration, which are submitit's.
    """

    _EXECUTOR = "slurm"

    def __init__(self, on_interrupt: OnInterrupt, **params: Any) -> None:
        _check_time(params["timeout_min"], params["signal_delay_s"])
        super().__init__(**params, srun_args=_srun_arguments(params["cpus_per_task"]))
        self.on_interrupt = on_interrupt

    def _room(self, running: int) -> int | None:
        return None  # SLURM sees to array_parallelism

    def _interrupted(self, jobs: Sequence["Job[Any]"]) -> None:
        arrays = sorted({job.job_id.partition("_")[0] for job in jobs})
        if not jobs:
            log.warning("interrupted while submitting: `squeue --me` shows whether jobs have got through")
        elif self.on_interrupt is OnInterrupt.cancel:
            subprocess.run(["scancel", *arrays], check=False)  # which itself says what it cannot
            log.warning("interrupted: cancelled %s", " ".join(arrays))
        else:
            log.warning(
                "interrupted: job %s goes on. When `squeue -j %s` is empty, give the same command again, with "
                "output_dir=%s: it runs what has not finished by then",
                *(" ".join(arrays), ",".join(arrays), self.config.hydra.sweep.dir),
            )


def _srun_arguments(cpus_per_task: int | None) -> list[str]:
    """What submitit leaves out of its call of srun."""
    # A process that fails would leave the job's others waiting for it until the time is over.
    arguments = ["--kill-on-bad-exit=1"]
    if cpus_per_task is not None:  # which srun does not take over from sbatch since SLURM 22.05
        arguments.append(f"--cpus-per-task={cpus_per_task}")
    return arguments


def _check_time(timeout_min: int, signal_delay_s: int) -> None:
    shortest = signal_delay_s // 60 + 2  # SLURM may send the signal a minute early, and nothing heeds it at the start
    if timeout_min < shortest:
        raise ValueError(
            f"hydra.launcher.timeout_min={timeout_min} minutes leave a job no time, as it is told that they are over "
            f"hydra.launcher.signal_delay_s={signal_delay_s} seconds ahead; timeout_min must be {shortest} or more"
        )
