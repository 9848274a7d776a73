"""Finding the image files that a user means: one file, a folder, a glob, a list, standard input."""

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from padim.data.folder import SUFFIXES
from padim.data.walk import absolute, files_below

ALLOWED = (
    "an image, a folder, a glob such as 'DIR/**/*.png', a text file of paths (one a line), or - for such lines on "
    "standard input"
)


class Listing(NamedTuple):
    """Image files, in order.

    Attributes:
        root: folder that their names are relative to.
        paths: absolute, none twice; where a list names them they need not exist.
        left: how many others there are, by what they are: a suffix, or one of :mod:`padim.data.walk`.
    """

    root: Path
    paths: list[str]
    left: dict[str, int]

    def name(self, path: str) -> Path:
        """Where what belongs to an image lies in a folder of such: no two images share it."""
        below = Path(path)
        return below.relative_to(self.root) if below.is_relative_to(self.root) else below.relative_to(below.anchor)


def printable(text: str) -> str:
    """A text that names a file, to be shown: such names may hold line breaks, and need not be Unicode."""
    return "".join(character if character.isprintable() else "?" for character in text)


def list_images(given: str, without: Sequence[Path] = ()) -> Listing:
    """The image files that ``given`` stands for, in the same order on every machine.

    A folder is searched with all below it, links to folders followed, unless they lead back to where they come from; in
    a glob ** follows none. What begins with a dot is left alone, and what has no suffix of an image is counted. A list
    is believed: whatever it names is an image, relative to the list's folder or, on standard input, to the working
    directory.

    Args:
        given: an image, a folder, a glob, a text file of paths, or ``-``.
        without: folders that are left out, such as those that the pictures of these images go to.

    Raises:
        FileNotFoundError: there is no image; it is said what was looked for, and what is there instead.
        ValueError: it is a file, but neither an image nor a text.
    """
    left = Counter[str]()
    root, found = _found(given, left)
    own = tuple(absolute(folder) + os.sep for folder in without)
    paths = [path for path in dict.fromkeys(map(absolute, found)) if not path.startswith(own)]
    if not paths:
        others = ", ".join(f"{count} {what}" for what, count in left.most_common(5)) or "nothing"
        raise FileNotFoundError(
            f"no images in {given}; looked for the suffixes {', '.join(sorted(SUFFIXES))}, found {others}; "
            f"give {ALLOWED}"
        )
    return Listing(Path(absolute(root)), paths, dict(left))


def _found(given: str, left: Counter[str]) -> tuple[Path, Iterable[Path]]:
    """The root and the images."""
    path = Path(given)
    if given == "-":
        return Path(), _listed(given, sys.stdin.buffer.read(), Path())
    if given and path.is_dir():
        return path, _counted(files_below(path, left), left)
    if given and path.exists():
        return path.parent, [path] if _is_image(path) else _listed(given, path.read_bytes(), path.parent)
    if glob.has_magic(given):
        start = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
        root = Path(*path.parts[:start])
        return root, _matching(root, str(Path(*path.parts[start:])), left)
    raise FileNotFoundError(f"{given or 'the empty name'} is no file and no folder; give {ALLOWED}")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _matching(root: Path, pattern: str, left: Counter[str]) -> Iterator[Path]:
    matches = (path for path in root.glob(pattern) if not path.is_dir())
    visible = (path for path in matches if not any(part[0] == "." for part in path.relative_to(root).parts))
    yield from _counted(sorted(visible), left)


def _counted(paths: Iterable[Path], left: Counter[str]) -> Iterator[Path]:
    """Those that are images; the others are counted."""
    for path in paths:
        if _is_image(path):
            yield path
        else:
            left[printable(path.suffix.lower()) or "without a suffix"] += 1


def _listed(given: str, content: bytes, folder: Path) -> list[Path]:
    if b"\0" in content:
        raise ValueError(
            f"{given} is neither a text nor an image of the suffixes {', '.join(sorted(SUFFIXES))}; give {ALLOWED}"
        )
    lines = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n")  # the mark that spreadsheets begin with
    paths = [folder / line.rstrip("\r") for line in lines if line.strip()]
    if paths and not any(map(_exists, paths)):
        raise FileNotFoundError(
            f"{given} lists {len(paths)} paths and none of them exists, such as {paths[0]}; "
            f"they are relative to {folder.absolute()}"
        )
    return paths


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have, such as one that is too long
        return False
