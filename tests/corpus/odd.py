"""Names that files may have, and what may lie among files that is none."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = [
    b"no unicode \xff\xfe.png",
    b"a\nline break.png",
    b"a\rreturn.png",
    b"a\ttabulator.png",
    b"a, comma.png",
    b'a "quote".png',
    b"a 'quote'.png",
    b"$mathematics$ ^.png",
    b"100 %s {name} %(name)s.png",
    b"a\\backslash.png",
    b"[brackets]*?.png",
    b"-option=1.png",
    b" spaces .png",
    b"a#1.png",
    "\U0001f600 \U0001f468\u200d\U0001f469 smile.png".encode(),
    "\u202eleft to right.png".encode(),
    "e\u0301 decomposed.png".encode(),
    "文字.png".encode(),
    b"l" * 251 + b".png",
    b"l" * 250 + b"2.png",
    "\u00e9".encode() * 125 + b"l.png",
]
"""As the system has them: bytes."""


def paths(folder: Path) -> list[Path]:
    return [folder / os.fsdecode(name) for name in NAMES]


@contextmanager
def odd_files(folder: Path) -> Iterator[Path]:
    """A folder of pipes, a socket, a device, and links to all of them, to nothing, and in circles."""
    for name in ("odd", "odd/folder.png", "elsewhere"):
        (folder / name).mkdir(parents=True)
    odd = folder / "odd"
    os.mkfifo(odd / "pipe.png")
    links = {
        "pipe linked.png": "pipe.png",
        "device.png": "/dev/zero",
        "nothing.png": "nowhere.png",
        "itself.png": "itself.png",
        "one.png": "other.png",
        "other.png": "one.png",
        "circle": "../odd",
        "folder.png/up": "..",
        "linked": "../elsewhere",
    }
    for name, target in links.items():
        (odd / name).symlink_to(target)
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(odd)  # the name of a socket is no longer than a hundred bytes
    try:
        server.bind("socket.png")
        yield odd
    finally:
        os.chdir(here)
        server.close()


UNREADABLE = {
    "device.png": "it is a pipe, a socket or a device",
    "itself.png": "Too many levels of symbolic links",
    "nothing.png": "No such file or directory",
    "one.png": "Too many levels of symbolic links",
    "other.png": "Too many levels of symbolic links",
    "pipe linked.png": "it is a pipe, a socket or a device",
    "pipe.png": "it is a pipe, a socket or a device",
    "socket.png": "it is a pipe, a socket or a device",
}
"""What is said of each."""
BROKEN = ["itself.png", "nothing.png", "one.png", "other.png"]
"""Of which a folder counts as images: the others can hold none."""
