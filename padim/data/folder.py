"""Images of one's own: a folder of normal ones, or folders for training and testing, or a list."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from padim.data.layout import Layout, image_files
from padim.data.manifest import read_manifest
from padim.data.samples import Sample
from padim.data.walk import require_path

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
LAYOUT = Layout(
    """  ROOT/**/*.jpg                       normal images alone
or
  ROOT/
    train/**/*.jpg                    normal images to fit on
    test_good/**/*.jpg                normal images to test on (optional)
    test_bad/[KIND/]NAME.jpg          anomalous images (optional)
    masks/[KIND/]NAME[_mask].png      their anomalous pixels, not 0 (optional)
folders in folders allowed, but none of these four in another; of the image formats """
    + ", ".join(sorted(SUFFIXES))
)


class Folder:
    """Reader of a folder of images; whatever begins with a dot is left alone.

    Args:
        root: of the images. Without a folder ``train`` in it, every image in it is normal and there is no test.
        train, test_good, test_bad, masks: folders, relative to the root, none in another.
        manifest: a list of the images instead, see :func:`padim.data.manifest.read_manifest`; then its folder is the
            root, and the layout does not matter.
    """

    def __init__(
        self,
        root: str | Path,
        train: str = "train",
        test_good: str = "test_good",
        test_bad: str = "test_bad",
        masks: str = "masks",
        manifest: str | Path | None = None,
    ) -> None:
        names = {"train": train, "test_good": test_good, "test_bad": test_bad, "masks": masks}
        self.root = Path(require_path("dataset.root", root))
        self.manifest = None if manifest is None else Path(require_path("dataset.manifest", manifest))
        if self.manifest is not None:
            self.root = self.manifest.parent
        self._folders = {key: self.root / require_path(f"dataset.{key}", name) for key, name in names.items()}
        self.train_folder, self.test_good, self.test_bad, self.masks = self._folders.values()
        self._chosen = [key for key, name in names.items() if name != key]

    def prepare(self) -> None:
        """Nothing to make: the images are there or they are not."""

    def train(self) -> list[Sample]:
        if self.manifest is not None:
            return read_manifest(self.manifest)["train"]
        folder = self._training_folder()
        return [Sample(path) for path in _images(folder)]

    def test(self) -> list[Sample]:
        if self.manifest is not None:
            return read_manifest(self.manifest)["test"]
        self._training_folder()
        good, bad = _images(self.test_good), _images(self.test_bad)
        masks = self._masks_of(good, bad)
        return [Sample(path) for path in good] + [Sample(path, self._kind(path), masks.get(path)) for path in bad]

    def _training_folder(self) -> Path:
        LAYOUT.root(self.root)
        for key in self._chosen:
            if not self._folders[key].is_dir():  # a slip of the pen would make all of the root normal
                raise LAYOUT.missing(f"dataset.{key}: {self._folders[key]} is no folder")
        there = {key: folder for key, folder in self._folders.items() if folder.is_dir()}
        _require_apart(there)
        if "train" in there:
            other = self.root / "test"
            if other.is_dir() and not any(folder.is_relative_to(other) for folder in there.values()):
                raise LAYOUT.wrong(f"{other} is not read; is {self.root} one category of dataset=mvtec?")
            return self.train_folder
        if there:
            raise LAYOUT.missing(f"there is {next(iter(there.values()))}, but no {self.train_folder} to fit on")
        return self.root

    def _kind(self, path: Path) -> str:
        kind = path.relative_to(self.test_bad).parent.as_posix()
        if kind == "good":
            raise LAYOUT.wrong(f"{path} lies in {self.test_bad} and is called good; move it, or rename its folder")
        return "bad" if kind == "." else kind

    def _masks_of(self, good: list[Path], bad: list[Path]) -> dict[Path, Path]:
        """The mask of each image that has one: of the same folders and stem."""
        masks = _by_stem(_images(self.masks), self.masks, "_mask")
        if not masks:
            return {}
        images = _by_stem(bad, self.test_bad)
        normal = _by_stem(good, self.test_good) | _by_stem(_images(self.train_folder), self.train_folder)
        for stem, mask in masks.items():
            if stem not in images and stem in normal:
                raise LAYOUT.wrong(f"the mask {mask} is that of a normal image, {normal[stem]}; delete one of them")
            if stem not in images:
                raise LAYOUT.wrong(f"the mask {mask} has no image; expected it at {self.test_bad / stem} and a suffix")
        return {images[stem]: mask for stem, mask in masks.items()}


def _require_apart(folders: dict[str, Path]) -> None:
    """No file of two folders: anomalous images would be fitted, or masks taken for images."""
    for one, other in combinations(folders, 2):
        first, second = folders[one].resolve(), folders[other].resolve()
        if first.is_relative_to(second) or second.is_relative_to(first):
            raise LAYOUT.wrong(
                f"dataset.{one}, {folders[one]}, and dataset.{other}, {folders[other]}, are one folder, or one lies in "
                "the other: its files would be read as both; move them apart, or choose folders that lie apart"
            )


def _by_stem(paths: Iterable[Path], folder: Path, ending: str = "") -> dict[str, Path]:
    """Each path by its folders and stem."""
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        if stem in found:
            raise LAYOUT.wrong(
                f"{found[stem]} and {path} have one stem, {stem}, and masks are matched by it; rename one of them"
            )
        found[stem] = path
    return found


def _images(folder: Path) -> list[Path]:
    """All there are in a folder, which may be missing but not empty."""
    found = image_files(folder, recursive=True, suffixes=SUFFIXES)
    if not found and folder.is_dir():
        raise LAYOUT.missing(f"no images in {folder}; {_contents(folder)}")
    return found


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return f"it holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else "it is empty"
