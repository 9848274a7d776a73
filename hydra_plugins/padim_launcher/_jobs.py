"""The jobs of a sweep while they run, and why some of them give no result.

The underscore keeps Hydra from looking for launchers in here.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import filter_overrides

if TYPE_CHECKING:  # Hydra imports the launchers at every start of every command, and submitit would slow all of them
    from submitit import Job

    Jobs = dict[int, Job[Any]]  # by their numbers in the sweep

GRACE = 15.0
"""Seconds in which the result of a job that has ended may still appear: network file systems lag behind."""


@dataclass(frozen=True)
class Failure:
    """Why a job gave no result.

    Attributes:
        job_id: on the cluster.
        state: as ``sacct`` has it: FAILED, CANCELLED, OUT_OF_MEMORY, TIMEOUT, NODE_FAIL.
        reason: one line.
        log: what the job wrote to its error stream.
    """

    job_id: str
    state: str
    reason: str
    log: Path

    def __str__(self) -> str:
        return f"{self.state}, {self.reason} (job {self.job_id}, log {self.log})"


class RunningJobs:
    """Jobs that have been submitted and not been taken back."""

    def __init__(self) -> None:
        self.jobs: Jobs = {}
        self._ended: dict[int, float] = {}  # when a job without a result was first seen to have ended

    def take_ended(self) -> "Jobs":
        """Those that have ended since the last time; the others stay."""
        now = time.monotonic()
        taken: Jobs = {}
        for number, job in self.jobs.items():
            if job.done() and (_has_result(job) or now - self._ended.setdefault(number, now) > GRACE):
                taken[number] = job
        self.jobs = {number: job for number, job in self.jobs.items() if number not in taken}
        return taken


def failure_of(job: "Job[Any]") -> Failure | None:
    """Why a job that has ended gave no result; None where it gave one."""
    # Those without a result come last: a process that raises takes the others with it, and is the reason.
    for task in sorted(_tasks(job), key=lambda task: not _has_result(task)):
        if failure := _failure_of_task(task):
            return failure
    return None


def name_jobs(sweep: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """What messages call each job: its number, and the overrides that not all have in common."""
    shared = set.intersection(*map(set, sweep.values())) if len(sweep) > 1 else set()
    return {
        number: " ".join([f"#{number}", *(one for one in filter_overrides(overrides) if one not in shared)])
        for number, overrides in sweep.items()
    }


def summary(names: Mapping[int, str], failures: Mapping[int, Failure], output_dir: str) -> str:
    """All failures of a sweep, one line each, and what to do."""
    lines = [f"{len(failures)} of {len(names)} jobs failed:"]
    for number, failure in sorted(failures.items()):
        lines.append(f"  {names[number]}: {failure}")
    lines.append(f"The same command with output_dir={output_dir} runs only what has not finished there.")
    return "\n".join(lines)


def last_word_of_slurm(log: Path) -> str:
    """Why SLURM ended a job that has left no result, as far as its log tells."""
    if not log.exists():
        return "it never started"
    said = re.findall(r"^(slurmstepd|srun)\S*: error: (.*)", log.read_text(errors="replace"), re.MULTILINE)
    # The daemon knows why (memory, time, scancel), and srun then only how: Killed.
    why = [line for program, line in said if program == "slurmstepd"] or [line for _, line in said]
    return why[-1].strip("* ") if why else "it ended without a result, as if killed"


def what_was_raised(trace: str) -> str:
    """The line of a traceback that follows its last frame, and one more where that ends in a colon, as Hydra's does."""
    behind_the_frames = re.split(r'^  File ".*\n(?:  .*\n)*', trace, flags=re.MULTILINE)[-1]
    message, *_ = behind_the_frames.split("\n-----")  # submitit's rule below the traceback
    first, *more = message.strip().splitlines()
    return " ".join([first, *(line.strip() for line in more[:1])]) if first.endswith(":") else first


def _failure_of_task(task: "Job[Any]") -> Failure | None:
    log = task.paths.stderr
    if not _has_result(task):
        return Failure(task.job_id, task.state, last_word_of_slurm(log), log)
    error = task.exception()
    return Failure(task.job_id, "FAILED", what_was_raised(str(error)), log) if error else None


def _tasks(job: "Job[Any]") -> list["Job[Any]"]:
    """The processes of a job: one, or with ``tasks_per_node`` several."""
    return [job.task(number) for number in range(job.num_tasks)]


def _has_result(job: "Job[Any]") -> bool:
    return all(task.paths.result_pickle.exists() for task in _tasks(job))
