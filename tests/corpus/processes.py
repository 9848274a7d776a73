"""Commands in processes of their own, and what can befall them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch


def started(name: str, *overrides: object) -> subprocess.Popen[str]:
    """A command as a terminal starts it: in a process group of its own, which Ctrl-C reaches as a whole."""
    return subprocess.Popen(
        [sys.executable, "-m", f"padim.commands.{name}", *map(str, overrides)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """A shell's background processes ignore them, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not ready():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its status and what it said of errors, within a minute."""
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, said


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)


def kill_a_worker(process: subprocess.Popen[str]) -> None:
    """As the system does where memory runs out."""
    (worker,) = psutil.Process(process.pid).children()
    worker.kill()


def lines(path: Path) -> list[str]:
    """Whole ones."""
    return [line for line in path.read_text().splitlines(True) if line[-1] == "\n"] if path.exists() else []


def counted(progress: Path) -> int:
    """Images in the statistics of an unfinished fit."""
    file = progress / "0.ckpt"
    return len(torch.load(file, weights_only=True)["images"]) if file.exists() else 0
