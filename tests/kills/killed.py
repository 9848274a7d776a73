"""Run a command of padim, kill it at random moments, again and again, and then let it end.

    python tests/kills/killed.py KILLS SECONDS MADE COMMAND [OVERRIDE ...]

Prints as JSON how many of the kills hit. Each run is a fork of this process, which has all imported and computed
nothing: so the moments are those of the work, not of starting Python. They are drawn from the first SECONDS of a run.
After a run that was over before it was hit, the folder MADE is removed, so that there is something to do again.
"""

import json
import os
import shutil
import signal
import sys
import time
from importlib import import_module
from random import Random


def start(main: object, arguments: list[str]) -> int:
    """A run in a process of its own, with its workers in one group; returns its number."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    sys.argv = arguments
    status = 1
    try:
        main()  # type: ignore[operator]
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def kill_after(child: int, seconds: float) -> bool:
    """SIGKILL to it and its workers; whether it was still there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


if __name__ == "__main__":
    kills, seconds, made, command, *overrides = sys.argv[1:]
    run, random, hits = import_module(f"padim.commands.{command}").main, Random(0), 0
    for _ in range(int(kills)):
        if kill_after(start(run, [command, *overrides]), random.uniform(0, float(seconds))):
            hits += 1
        else:
            shutil.rmtree(made)
    begin = time.monotonic()
    _, state = os.waitpid(start(run, [command, *overrides]), 0)
    if state:
        raise SystemExit(f"after {hits} kills the run fails: {os.waitstatus_to_exitcode(state)}")
    print("\n" + json.dumps({"hits": hits, "seconds": time.monotonic() - begin}))
