"""Pipes, sockets, devices and links among images: never waited for, and the same to fits and to predictions."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from padim.data.cache import ImageCache
from padim.data.decoding import UnreadableImageError, read_content, read_rgb, read_truth
from padim.data.folder import Folder
from padim.data.listing import list_images
from padim.data.scaling import Scaling
from padim.predict.images import Broken, Images
from tests.corpus.odd import BROKEN, UNREADABLE, odd_files
from tests.data.files import write


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With an image in a folder that is called one, and another behind a link."""
    with odd_files(tmp_path) as odd:
        write(odd / "folder.png" / "inside.png")
        write(tmp_path / "elsewhere" / "behind.png")
        yield odd


def test_a_folder_lists_what_can_be_an_image(folder: Path) -> None:
    listing = list_images(str(folder))
    names = [path.relative_to(folder).as_posix() for path in map(Path, listing.paths)]
    assert names == sorted([*BROKEN, "folder.png/inside.png", "linked/behind.png"])
    assert listing.left == {"pipe, socket or device": 4, "link into a folder that it lies in": 2}
    assert [sample.path for sample in Folder(folder).train()] == list(map(Path, listing.paths))


@pytest.mark.parametrize("name", UNREADABLE)
def test_each_is_named_where_it_is_asked_for(name: str, folder: Path, tmp_path: Path) -> None:
    """By a list or a glob, as an image and as a mask."""
    path, scaling = folder / name, Scaling((8, 8))
    readers = [
        read_content,
        read_rgb,
        read_truth,
        scaling.read,
        lambda path: ImageCache(tmp_path, 1).read(path, scaling),
    ]
    for read in readers:
        with pytest.raises((UnreadableImageError, FileNotFoundError, ValueError), match=UNREADABLE[name]) as raised:
            read(path)
        assert str(path) in str(raised.value)
    (tmp_path / "list.txt").write_text(f"{path}\n{folder / 'linked/behind.png'}\n")
    for given in (str(tmp_path / "list.txt"), str(folder / "*.png")):
        assert str(path) in list_images(given).paths
    broken = Images([str(path)], scaling, (8, 8), pictures=False)[0]
    assert isinstance(broken, Broken)
    assert UNREADABLE[name] in broken.reason


def test_a_folder_is_no_image(folder: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"cannot read the image .*folder.png \(.*Is a directory"):
        read_content(folder / "folder.png")


def test_a_list_may_name_what_cannot_be_a_file(tmp_path: Path) -> None:
    """Path.exists raises of a name that is too long."""
    write(tmp_path / "image.png")
    (tmp_path / "list.txt").write_text("x" * 300 + ".png\nimage.png\n")
    long, image = list_images(str(tmp_path / "list.txt")).paths
    broken = Images([long, image], Scaling((8, 8)), (8, 8), pictures=False)[0]
    assert isinstance(broken, Broken)
    assert "File name too long" in broken.reason


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder in which an image and a folder may not be opened, by whoever runs this."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("a.png", "b.png", "locked/c.png"):
            write(folder / name)
        folder.chmod(0o755)
        (folder / "a.png").chmod(0)
        (folder / "locked").chmod(0)
        user = os.geteuid()
        if user == 0:  # whom no mode stops
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            (folder / "locked").chmod(0o755)


def test_what_may_not_be_opened_is_named(forbidden: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [str(forbidden / "a.png"), str(forbidden / "b.png")]
    for names in (
        lambda: list_images(str(forbidden)).paths,
        lambda: [str(one.path) for one in Folder(forbidden).train()],
    ):
        assert names() == paths
        assert f"left out, since it cannot be opened: [Errno 13] Permission denied: '{forbidden}/locked'" in caplog.text
        caplog.clear()
    with pytest.raises(UnreadableImageError, match=r"cannot read the image .*a.png \(.*Permission denied"):
        read_content(forbidden / "a.png")
    broken, _ = Images(paths, Scaling((8, 8)), (8, 8), pictures=False)
    assert isinstance(broken, Broken)
    assert "Permission denied" in broken.reason
