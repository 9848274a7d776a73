"""What a data set generates once."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Let ``make`` fill a folder unless it is there. Whole or not at all: it appears under its name when complete."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        make(made)
        try:
            made.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another process was faster. Its copy is the same, so ours may go.
