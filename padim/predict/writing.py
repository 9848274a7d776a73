"""Writing where a disk may be full: what was there stays, and the error names the file."""

import os
from pathlib import Path

from padim.checkpoint import named


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Unlike :func:`padim.checkpoint.whole` it does not wait for the disk, which would take longer than most pictures.
    """
    part = path.with_name(f".{os.getpid()}.part")  # short, whatever the name
    try:
        with named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
