"""Files that are there whole or not at all; the error of a full disk names the file."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be written, where the system does not, as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A file to write, beside the target: renamed to it at the end, or, where something is raised, removed.

    What a process that was killed has left of it, on this host, is removed as well: a model of it may be large.
    """
    target, host = Path(path), f".{platform.node()}-"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}{host}{os.getpid()}.part{target.suffix}")
    for other in target.parent.glob(f".{escape(target.stem + host)}*.part{escape(target.suffix)}"):
        if not _is_running(other.name.removeprefix(f".{target.stem}{host}").partition(".")[0]):
            other.unlink(missing_ok=True)
    try:
        with named(target):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Unlike :func:`whole` it does not wait for the disk, which would take longer than most pictures.
    """
    part = path.with_name(f".{os.getpid()}.part")  # short, whatever the name
    try:
        with named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_running(process: str) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError, ValueError):
        pass  # of another user, or no number, and so no file of ours
    return True
