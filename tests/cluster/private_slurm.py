"""A SLURM for tests: its real daemons on this machine, and what befalls jobs."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = Path(__file__).with_name("slurm.sh")


@contextmanager
def private_slurm(folder: Path) -> Iterator[None]:
    """Daemons that keep their files there, and which SLURM's commands find by the environment."""
    before = dict(os.environ)
    try:
        subprocess.run([SCRIPT, "up", folder, str(_free_ports(4))], check=True)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        yield
    finally:
        subprocess.run([SCRIPT, "down", folder], check=True)
        os.environ.pop("SLURM_CONF", None)
        os.environ.update(before)


def states(array: str) -> dict[str, str]:
    """The state of each job of an array: {"7_0": "COMPLETED"}."""
    rows = (line.split("|") for line in _ask("sacct", "-XnP", "--format=JobID,State", f"--jobs={array}"))
    return {job: state.split()[0] for job, state in rows}  # CANCELLED by 0


def wait_for_states(expected: dict[str, str]) -> None:
    """Until each of these jobs of one array is in its state; accounting lags behind the jobs."""
    (array,) = {job.partition("_")[0] for job in expected}
    wait_until(lambda: states(array).items() >= expected.items(), f"sacct has {expected}")


def kill(job: str) -> None:
    """End the job's process as the kernel does where memory runs out."""
    (number,) = _ask("squeue", "--noheader", f"--jobs={job}", "--format=%A")
    processes = (line.split() for line in _ask("scontrol", "listpids", number))
    (pid,) = (pid for pid, _, step, local, _ in processes if (step, local) == ("0", "0"))
    os.kill(int(pid), signal.SIGKILL)


def cancel(job: str) -> None:
    _ask("scancel", job)


def signal_timeout(job: str) -> None:
    """What SLURM sends a job, as submitit has asked it to, when its time is nearly over."""
    _ask("scancel", "--signal=USR2", job)


def release(job: str) -> None:
    """Start a job that has been queued again, which SLURM holds back for two minutes."""
    wait_until(lambda: _ask("squeue", "--noheader", f"--jobs={job}", "--format=%T") == ["PENDING"], f"{job} is queued")
    _ask("scontrol", "update", f"JobId={job}", "StartTime=now")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.2)


def _ask(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def _free_ports(count: int) -> int:
    """The first of so many that nothing listens on, below those that the system gives to connections."""
    starts = range(20000, 30000, count)
    for first in random.sample(starts, len(starts)):  # two sessions that start at once shall not choose the same
        try:
            for port in range(first, first + count):
                with socket.socket() as attempt:
                    attempt.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise OSError(f"no {count} consecutive ports are free in {starts}")
