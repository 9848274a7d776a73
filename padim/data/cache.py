"""Resized images on disk, so that a second run need not decode them again.

    HASH.padim-pixels   what an image file of some content gives with some scaling
    HASH.padim-content  the hash of the content of a file of some path, size and times, lest it be read to be known

Both are written under another name and renamed, so that several processes may share a folder.
"""

import contextlib
import os
import struct
import threading
import time
import warnings
from collections.abc import Iterable
from ctypes import c_bool
from hashlib import sha256
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from zlib import crc32

import PIL
from PIL import Image

from padim.data.decoding import read_content
from padim.data.scaling import Scaled, Scaling

VERSION = 2  # of what is in a file: raise it with every change of decoding or resizing
SUFFIXES = (".padim-pixels", ".padim-content", ".padim-part")
HEADER = struct.Struct("<5I")  # a checksum; height and width of the file's image, and of the resized one
FRESH = 2.0  # seconds in which a file may change twice without another time: file systems count coarsely
SHARE = 32  # of the limit a process writes one part before it looks again at what others have written


_ONE_THREAD = threading.Lock()
"""Of those that decode; not the cache's own, since it goes to worker processes."""


class ImageCache:
    """What :meth:`padim.data.scaling.Scaling.read` gives, from disk where it has been read before.

    What is kept is what was decoded, to the bit. Where the folder cannot be written to, or the disk is full, there is
    one warning, by the worker that finds out, and from then on all workers decode.

    Args:
        folder: where files lie; those of other names are left alone.
        gigabytes: in it, 10^9 bytes each; the oldest files make room. Each process may pass it by a 32nd.
    """

    def __init__(self, folder: Path, gigabytes: float) -> None:
        if gigabytes <= 0:
            raise ValueError(f"dataset.cache_gb={gigabytes}; it must be above 0. For no cache set dataset.cache=false")
        self.folder, self.limit = folder, int(1e9 * gigabytes)
        self._works = RawValue(c_bool, True)  # workers share it, those of the next loader too
        self._room = 0  # bytes that may be written before the folder is looked through again

    def prepare(self) -> None:
        """Find out whether it works before the run counts on it."""
        self._write(f"probe-{os.getpid()}.padim-part", b"")
        with contextlib.suppress(OSError):
            (self.folder / f"probe-{os.getpid()}.padim-part").unlink()

    def read(self, path: Path, scaling: Scaling) -> Scaled:
        """The image, not yet padded."""
        if not self._works.value:
            return scaling.read(path)
        try:
            facts = path.stat()
            known = _name((path.absolute(), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns), ".padim-content")
            content_hash = self._content(known)
            if content_hash and (kept := self._unpacked(content_hash, scaling)):
                return kept
            content = read_content(path)
        except OSError:
            return scaling.read(path)  # which knows what to say
        content_hash = sha256(content).hexdigest()
        if time.time() - max(facts.st_mtime, facts.st_ctime) > FRESH:
            self._write(known, content_hash.encode())
        if (kept := self._unpacked(content_hash, scaling)) is None:
            kept = scaling.read(path, content)
            name, sizes = _entry(content_hash, scaling), (*kept.original, kept.image.height, kept.image.width)
            pixels = kept.image.tobytes()
            self._write(name, HEADER.pack(_checksum(name, sizes, pixels), *sizes) + pixels)
        return kept

    def _content(self, name: str) -> str | None:
        with contextlib.suppress(OSError):
            return (self.folder / name).read_text(errors="replace")
        return None

    def _unpacked(self, content_hash: str, scaling: Scaling) -> Scaled | None:
        """None where there is none, or what is there is not all that was written."""
        name = _entry(content_hash, scaling)
        try:
            packed = (self.folder / name).read_bytes()
        except OSError:
            return None
        if len(packed) < HEADER.size:
            return None
        (checksum, *sizes), pixels = HEADER.unpack_from(packed), packed[HEADER.size :]
        if checksum != _checksum(name, sizes, pixels):
            return None
        image = Image.frombytes("RGB", (sizes[3], sizes[2]), pixels)
        return Scaled(image, (sizes[0], sizes[1]), content_hash)

    def _write(self, name: str, packed: bytes) -> None:
        """Whole or not at all; several processes that write one name write the same."""
        if not self._works.value or _on_disk(len(packed)) > self.limit:
            return
        temporary = self.folder / f"{name}.{os.getpid()}-{threading.get_ident()}.padim-part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _ONE_THREAD:
                self._make_room(_on_disk(len(packed)))
            temporary.write_bytes(packed)
            temporary.replace(self.folder / name)
        except OSError as error:
            self._turn_off(error)
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _turn_off(self, error: OSError) -> None:
        with _ONE_THREAD:
            first, self._works.value = self._works.value, False
        if first:
            warnings.warn(
                f"the image cache is off, since {self.folder} cannot be written to ({error}); choose another "
                "dataset.cache_dir, make room, or set dataset.cache=false",
                stacklevel=2,
            )

    def _make_room(self, size: int) -> None:
        if size > self._room:
            found = _files(self.folder)
            total = sum(one_size for _, one_size, _ in found) + size
            for _, one_size, path in sorted(found):
                if total <= self.limit - self.limit // SHARE:
                    break
                path.unlink(missing_ok=True)
                total -= one_size
            self._room = max(size, self.limit // SHARE)
        self._room -= size


def _files(folder: Path) -> list[tuple[int, int, Path]]:
    """Time, size and path of each file of a cache."""
    found = []
    for entry in os.scandir(folder):
        if entry.name.endswith(SUFFIXES):
            with contextlib.suppress(FileNotFoundError):  # another process makes room too
                facts = entry.stat()
                found.append((facts.st_mtime_ns, _on_disk(facts.st_size), Path(entry.path)))
    return found


def _on_disk(size: int) -> int:
    """In whole blocks: a million small files are not small."""
    return -(-size // 4096) * 4096


def _checksum(name: str, sizes: Iterable[int], pixels: bytes) -> int:
    """Of another name it is another, so that no entry is taken for one that it was copied over."""
    return crc32(pixels, crc32(repr((name, *sizes)).encode()))


def _entry(content_hash: str, scaling: Scaling) -> str:
    return _name((content_hash, scaling, VERSION, PIL.__version__), ".padim-pixels")


def _name(facts: Iterable[object], suffix: str) -> str:
    return sha256("\n".join(map(repr, facts)).encode()).hexdigest() + suffix
