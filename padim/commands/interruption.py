"""Ctrl-C, in a word instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 130
"""Of what SIGINT ends, as shells have it."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Around the work of a command: Ctrl-C ends it, and says that nothing is lost."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:  # Lightning turns the first into the second
        if isinstance(error, SystemExit) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        again = "the same command with the same output_dir goes on from there"
        print(f"\ninterrupted; what has been written stays, and {again}", file=sys.stderr)
        raise SystemExit(STATUS) from None
