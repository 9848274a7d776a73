"""A Python process that may take so much memory and time, and no more."""

import json
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

SIGNS = ("can't allocate memory", "MemoryError", "bad_alloc")


class BeyondBoundsError(Exception):
    """What was to be measured takes more than it may; the message says of what."""


def answer(module: str, *arguments: str, gigabytes: float, minutes: float) -> Any:
    """The last line that ``python -m MODULE ARGUMENT ...`` prints, read as JSON.

    Args:
        gigabytes: of data that it may hold: a process that asks for more is refused, and nothing else of the machine
            is in danger.
        minutes: that it may run.

    Raises:
        BeyondBoundsError: that was not enough.
        RuntimeError: it failed for another reason.
    """
    limit = partial(_limit, int(gigabytes * 1e9))
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * minutes, preexec_fn=limit)
    except subprocess.TimeoutExpired:
        raise BeyondBoundsError(f"not done in {minutes:g} minutes") from None
    if done.returncode and (done.returncode == -signal.SIGKILL or any(sign in done.stderr for sign in SIGNS)):
        raise BeyondBoundsError(f"does not fit into {gigabytes:.1f} GB")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _limit(size: int) -> None:
    """Of the process that calls it; where memory is short all the same, the system ends this one first."""
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    Path("/proc/self/oom_score_adj").write_text("1000")
