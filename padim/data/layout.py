"""The layout of a public data set on disk: its images, its masks, and errors that show how it should look."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from padim.data.decoding import read_truth
from padim.data.samples import Sample
from padim.data.walk import files_below

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Layout:
    """What a reader expects to find.

    Attributes:
        tree: a drawing of it, which ends every error.
    """

    tree: str

    @classmethod
    def of(cls, docstring: str | None) -> "Layout":
        """The lines that the docstring of a reader's file indents: the drawing has one home."""
        lines = (docstring or "").splitlines()  # None under python -OO
        return cls("\n".join(line for line in lines if line.startswith("    ")))

    def missing(self, found: str) -> FileNotFoundError:
        return FileNotFoundError(f"{found}\nexpected:\n{self.tree}")

    def wrong(self, found: str) -> ValueError:
        return ValueError(f"{found}\nexpected:\n{self.tree}")

    def lines(self, path: Path) -> StringIO:
        """Those of a text file, with or without the mark that spreadsheets begin UTF-8 with."""
        try:
            return StringIO(path.read_bytes().decode("utf-8-sig"), newline="")
        except UnicodeDecodeError as error:
            raise self.wrong(f"{path} is no text in UTF-8 ({error}); save it as that") from error

    def root(self, root: Path) -> Path:
        """The root, which is a folder."""
        if not root.is_dir():
            raise self.missing(f"dataset.root={root} is no folder; give the one that is ROOT below")
        return root

    def category(self, root: Path, category: str) -> Path:
        """The folder of a category, which lies in the root."""
        folder = self.root(root) / category
        if not folder.is_dir():
            raise self.no_category(category, root, [path.parent.name for path in root.glob("*/train/")])
        return folder

    def no_category(self, category: str, where: Path, known: Iterable[str]) -> FileNotFoundError:
        listed = ", ".join(sorted(set(known))) or "none"
        return self.missing(f"dataset.category: no category {category!r} in {where}; there is {listed}")

    def images(self, folder: Path) -> dict[str, Path]:
        """The image files of a folder, by their names without suffix, in order; none where there is no folder."""
        return self.by_name(image_files(folder))

    def by_name(self, paths: Iterable[Path]) -> dict[str, Path]:
        """The paths of image files by their names without suffix: a mask could belong to either of two."""
        named: dict[str, Path] = {}
        for path in paths:
            if path.stem in named:
                raise self.wrong(f"two images of one name, {named[path.stem]} and {path}; rename or remove one")
            named[path.stem] = path
        return named

    def pairs(self, images: Mapping[str, Path], masks: Mapping[str, Path], expected: Path) -> list[tuple[Path, Path]]:
        """Every image with its mask.

        Args:
            images, masks: by the names of their files, without suffix.
            expected: where a mask lies, its name with * in the place of the image's: ``crack/*_mask.png``.
        """
        ending = expected.stem.removeprefix("*")
        for name, mask in masks.items():
            if not name.endswith(ending) or name.removesuffix(ending) not in images:
                raise self.wrong(f"the mask {mask} has no image; masks are named {expected.name}, * being the image's")
        for name, image in images.items():
            if name + ending not in masks:
                place = expected.with_name(expected.name.replace("*", name))
                raise self.missing(f"the image {image} has no mask; expected it at {place}")
        return [(image, masks[name + ending]) for name, image in images.items()]

    def samples_beside_masks(self, files: Iterable[Path], expected: Path) -> list[Sample]:
        """Every image, in order, as ``good`` or, where its mask marks a pixel, as a ``defect``.

        Args:
            files: images and masks of one folder; every mask is opened.
            expected: where a mask lies, its name with * in the place of the image's: ``kos01/*_label.bmp``.
        """
        named = self.by_name(files)
        masks = {name: path for name, path in named.items() if name.endswith(expected.stem.removeprefix("*"))}
        images = {name: path for name, path in named.items() if name not in masks}
        pairs = self.pairs(images, masks, expected)
        return [Sample(path, "defect", mask) if read_truth(mask).any() else Sample(path) for path, mask in pairs]


def image_files(folder: Path, recursive: bool = False, suffixes: Set[str] = SUFFIXES) -> list[Path]:
    """The image files of a folder, in order, see :func:`padim.data.walk.files_below`; none where there is no folder."""
    found = files_below(folder, Counter(), recursive) if folder.is_dir() else ()
    return [path for path in found if path.suffix.lower() in suffixes]
