"""Paths as they are given, and the files below a folder."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG

CIRCLE, SPECIAL = "link into a folder that it lies in", "pipe, socket or device"

log = logging.getLogger(__name__)


def files_below(folder: Path, left: Counter[str], recursive: bool = True) -> Iterator[Path]:
    """All files in a folder and, if recursive, in those below it, in the same order on every machine.

    Links to folders are followed, unless they lead back to where they come from. A link to nothing is a file too: it
    cannot be read, and whoever reads it says so. What begins with a dot is left alone; macOS and others leave it beside
    images.

    Args:
        left: counts what is no file: :data:`CIRCLE` and :data:`SPECIAL`. A folder that may not be opened is logged.
    """
    try:
        with os.scandir(folder) as entries:
            visible = sorted((one for one in entries if one.name[0] != "."), key=lambda one: one.name)
    except PermissionError as error:
        log.warning("left out, since it cannot be opened: %s", error)
        return
    for entry in visible:
        path = Path(entry.path)
        if _is_folder(entry):
            if entry.is_symlink() and _returns(path):
                left[CIRCLE] += 1
            elif recursive:
                yield from files_below(path, left)
        elif entry.is_file(follow_symlinks=False) or not is_special(path):  # the first asks no disk
            yield path
        else:
            left[SPECIAL] += 1


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, for which a reader could wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError:  # none at all, which opening it tells
        return False
    return not (S_ISREG(mode) or S_ISDIR(mode))


def require_path(key: str, given: object) -> str:
    """The path given for a key, as it is; Hydra reads names of digits as numbers, which no longer tell the name."""
    if isinstance(given, str | Path):
        return str(given)
    raise TypeError(
        f"{key}={given} is no path, but of type {type(given).__name__}, as Hydra reads names like 2024_01_15 (as the "
        f"number 20240115), 1e3, true and null; write ./ before such a name: {key}=./2024_01_15"
    )


def absolute(path: Path) -> str:
    """Not resolved, which would call a link by the name of what it points to, but without ``..``.

    What goes up from a link is resolved where it leads elsewhere than its text does: up from what the link points to.
    """
    given = path.absolute()
    ups = [number for number, part in enumerate(given.parts, start=1) if part == ".."]
    if not ups:
        return str(given)
    going_up, below = Path(*given.parts[: ups[-1]]), given.parts[ups[-1] :]
    meant, written = os.path.realpath(going_up), os.path.normpath(going_up)
    return str(Path(written if os.path.realpath(written) == meant else meant, *below))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _returns(folder: Path) -> bool:
    """Whether the path of a folder goes through one folder twice, which takes a link."""
    path = Path(absolute(folder))
    facts = [one.stat() for one in (path, *path.parents)]
    return len({(one.st_dev, one.st_ino) for one in facts}) < len(facts)
