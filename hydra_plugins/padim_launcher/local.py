"""hydra/launcher=local: a sweep as processes on this machine."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra_plugins.padim_launcher.launcher import PadimLauncher

if TYPE_CHECKING:
    from submitit import Job

log = logging.getLogger(__name__)


class PadimLocalLauncher(PadimLauncher):
    """Processes on this machine.

    Args:
        array_parallelism: how many jobs run at a time.
        submitit_folder, gpus_per_node, timeout_min: as submitit has them, which heeds no others here.
    """

    _EXECUTOR = "local"

    def __init__(self, array_parallelism: int, submitit_folder: str, gpus_per_node: int, timeout_min: int) -> None:
        if array_parallelism < 1:
            raise ValueError(f"hydra.launcher.array_parallelism={array_parallelism}; it must be 1 or more")
        super().__init__(submitit_folder=submitit_folder, gpus_per_node=gpus_per_node, timeout_min=timeout_min)
        self.array_parallelism = array_parallelism

    def _room(self, running: int) -> int | None:
        return self.array_parallelism - running

    def _interrupted(self, jobs: Sequence["Job[Any]"]) -> None:
        time.sleep(3)  # a terminal interrupts the jobs too, and a second time would disturb them while they end
        for job in jobs:
            if not job.done():
                job.cancel()
        for job in jobs:
            job.wait()
        log.warning("interrupted: ended %d jobs", len(jobs))
