"""A sweep as jobs of submitit, every one of which counts.

To what hydra-submitit-launcher does this adds: a run that raises is a failed job, a run that has finished is not run
again, a failed job hides no other and costs no result, and Ctrl-C does to the jobs what the configuration says.
"""

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from omegaconf import OmegaConf, open_dict, read_write

from hydra_plugins.padim_launcher._jobs import Failure, RunningJobs, failure_of, name_jobs, summary

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

log = logging.getLogger(__name__)


class PadimLauncher(BaseSubmititLauncher):
    """What the launchers share."""

    def __call__(self, *args: Any, **kwargs: Any) -> JobReturn:
        """Run one job, in the job; what it raises goes to the run's log, and ends the job, FAILED as SLURM has it."""
        job_return = super().__call__(*args, **kwargs)
        try:
            _ = job_return.return_value
        except Exception:
            log.exception("the run has failed")
            raise
        return job_return

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run what has not finished and wait for it; the returns of failed jobs raise when they are read."""
        sweep = dict(enumerate(job_overrides, initial_job_idx))
        names = name_jobs(sweep)
        returns = {n: done for n, overrides in sweep.items() if (done := self._finished(n, overrides, names[n]))}
        waiting = {number: overrides for number, overrides in sweep.items() if number not in returns}
        running = RunningJobs()
        failures: dict[int, Failure] = {}
        try:
            for number, job in self._ended(waiting, running):
                if failure := failure_of(job):
                    failures[number] = failure
                    log.error("%s: %s", names[number], failure)
                else:
                    returns[number] = job.results()[0]
                    log.info("%s: COMPLETED", names[number])
        except KeyboardInterrupt:
            self._interrupted(list(running.jobs.values()))
            raise SystemExit(130) from None
        if failures:
            error = CompactHydraException(summary(names, failures, self.config.hydra.sweep.dir))
            for number in failures:
                returns[number] = JobReturn(list(sweep[number]), status=JobStatus.FAILED, _return_value=error)
        return [returns[number] for number in sweep]

    def _finished(self, number: int, overrides: Sequence[str], name: str) -> JobReturn | None:
        """What a job has returned whose run has finished already."""
        from padim.commands.finished import is_finished  # which take torch along
        from padim.commands.objective import achieved

        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config.hydra.job):  # a folder may be named by them
            config.hydra.job.id, config.hydra.job.num = _id(number), number
        output_dir = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir).absolute()
        with read_write(config), open_dict(config):
            del config["hydra"]  # as the run sees it
        if not is_finished(output_dir, config):
            return None
        try:
            value = achieved(OmegaConf.select(config, "objective"), output_dir)
        except (OSError, ValueError):  # as will happen once more in its job, and be told among the failures
            return None
        log.info("%s: left out, it has finished in %s", name, output_dir)
        return JobReturn(list(overrides), config, status=JobStatus.COMPLETED, _return_value=value)

    def _ended(self, waiting: dict[int, Sequence[str]], running: RunningJobs) -> Iterator[tuple[int, "Job[Any]"]]:
        """Submit what is waiting, as there is room for it; give each job once it has ended."""
        while waiting or running.jobs:
            if some := {number: waiting.pop(number) for number in list(waiting)[: self._room(len(running.jobs))]}:
                running.jobs |= self._submit(some)
            yield from running.take_ended().items()
            time.sleep(1)

    def _submit(self, sweep: Mapping[int, Sequence[str]]) -> dict[int, "Job[Any]"]:
        state = Singleton.get_state()
        arguments = [(list(of), "hydra.sweep.dir", number, _id(number), state) for number, of in sweep.items()]
        try:
            jobs = dict(zip(sweep, self._executor().map_array(self, *zip(*arguments, strict=True)), strict=True))
        except (NameError, RuntimeError) as error:  # submitit knows no such key, finds no srun, or sbatch refuses
            raise CompactHydraException(f"these jobs cannot be submitted: {error}") from error
        log.info("submitted %s", ", ".join(f"#{number} as job {job.job_id}" for number, job in jobs.items()))
        return jobs

    def _executor(self) -> "AutoExecutor":
        from submitit import AutoExecutor

        options = dict(self.params)
        own = {f"{self._EXECUTOR}_{name}": options.pop(name) for name in ("max_num_timeout",) if name in options}
        executor = AutoExecutor(options.pop("submitit_folder"), self._EXECUTOR, **own)
        shared = {field.name for field in fields(BaseQueueConf)}  # the others are named after their executor
        names = {name: name if name in shared else f"{self._EXECUTOR}_{name}" for name in options}
        executor.update_parameters(**{names[name]: value for name, value in options.items()})
        return executor

    @abstractmethod
    def _room(self, running: int) -> int | None:
        """How many jobs may be submitted while so many are running; None: all."""

    @abstractmethod
    def _interrupted(self, jobs: Sequence["Job[Any]"]) -> None:
        """Do what Ctrl-C shall do to jobs that have not ended."""


def _id(number: int) -> str:
    return f"job_id_for_{number}"
