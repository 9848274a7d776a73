"""Which files are images, in which order, whatever way they are named."""

import io
import os
import sys
from pathlib import Path

import pytest

from padim.data.listing import Listing, list_images

FILES = ["b.png", "a/z.JPG", "a/a.tiff", "a/.hidden.png", ".cache/x.png", "a.webp", "notes.txt", "a/README", "b/b.png"]
FOUND = ["a/a.tiff", "a/z.JPG", "a.webp", "b/b.png", "b.png"]  # folder by folder, each in the order of its names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "images"


def names(listing: Listing) -> list[str]:
    return [listing.name(path).as_posix() for path in listing.paths]


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = list_images(str(folder))
    assert sorted(names(listing)) == sorted(FOUND)
    assert names(listing) == [path.as_posix() for path in sorted(map(Path, FOUND))]
    assert listing.left == {".txt": 1, "without a suffix": 1}
    assert listing.root == folder
    monkeypatch.chdir(folder / "a")
    assert list_images("..") == listing
    assert list_images("../") == listing


def test_links_are_followed_but_not_in_circles(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked.png").write_bytes(b"")
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    (folder / "d.png").symlink_to(folder / "gone.png")
    (folder / "a" / "up").symlink_to(folder)
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "c")
    os.mkfifo(folder / "pipe.png")
    listing = list_images(str(folder))
    assert set(names(listing)) - set(FOUND) == {"c/linked.png", "d.png"}
    assert listing.left["link into a folder that it lies in"] == 2


def test_up_from_a_link_is_up_from_what_it_points_to(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system has it; beside the link other images may lie, which were taken instead."""
    (folder / "lists").mkdir()
    (folder / "lists" / "list.txt").write_text("../a/a.tiff\n../lists/../a/a.tiff\n")
    (tmp_path / "link").symlink_to(folder / "lists")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.tiff").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert list_images("link/list.txt").paths == [str(folder / "a" / "a.tiff")]
    assert list_images("link/../a/a.tiff").paths == [str(folder / "a" / "a.tiff")]
    assert list_images("link/../a") == list_images("images/a")
    assert list_images("link/../a/*") == list_images("images/a/*")


def test_a_link_that_nothing_goes_up_from_keeps_its_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    (folder / "list").write_text("a/../b.png\nb.png\n./a/a.tiff\ngone/../a.webp\n")
    assert names(list_images(str(tmp_path / "link" / "list"))) == ["b.png", "a/a.tiff", "a.webp"]


def test_one_image(folder: Path) -> None:
    listing = list_images(str(folder / "a" / "z.JPG"))
    assert names(listing) == ["z.JPG"]
    assert listing.paths == [str(folder / "a" / "z.JPG")]


def test_a_glob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert names(list_images("images/**/*")) == names(list_images("images"))
    assert names(list_images(str(folder / "**" / "?.png"))) == ["b/b.png", "b.png"]
    listing = list_images("images/a/*")
    assert (names(listing), listing.root, listing.left) == (["a.tiff", "z.JPG"], folder / "a", {"without a suffix": 1})
    assert names(list_images("*/a*")) == ["images/a.webp"]
    (folder / "x[1].png").write_bytes(b"")
    assert names(list_images("images/x[1].png")) == ["x[1].png"]  # a file of that very name comes first


def test_a_list(folder: Path, tmp_path: Path) -> None:
    """Of whatever is in it: relative to it, in its order, missing ones too."""
    other = tmp_path / "other.png"
    other.write_bytes(b"")
    lines = ["b.png", "a/a.tiff", "", str(other), "gone.png", "b.png", "notes.txt"]
    for text in ("\n".join(lines), "\ufeff" + "\r\n".join(lines) + "\r\n"):
        (folder / "list.txt").write_text(text, encoding="utf-8", newline="")
        listing = list_images(str(folder / "list.txt"))
        expected = [folder / "b.png", folder / "a/a.tiff", other, folder / "gone.png", folder / "notes.txt"]
        assert listing.paths == list(map(str, expected))
    assert names(listing)[2] == str(other.relative_to(other.anchor))


def test_a_list_on_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a/a.tiff\nb.png\n")))
    listing = list_images("-")
    assert listing.paths == [str(folder / "a" / "a.tiff"), str(folder / "b.png")]
    assert names(listing) == ["a/a.tiff", "b.png"]


def test_names_that_are_no_unicode(folder: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (folder / name).write_bytes(b"")
    (folder / "list").write_bytes(b"\xff.png\n")
    assert name in names(list_images(str(folder)))
    assert names(list_images(str(folder / "list"))) == [name]


def test_what_is_written_is_not_read(folder: Path) -> None:
    assert set(names(list_images(str(folder), without=[folder / "a"]))) == {"a.webp", "b.png", "b/b.png"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("", FileNotFoundError, "the empty name is no file and no folder; give an image, a folder, a glob"),
        ("missing", FileNotFoundError, "missing is no file and no folder; give an image"),
        (
            "empty",
            FileNotFoundError,
            r"no images in empty; looked for .* .bmp, .*, found 2 .txt; give an image",
        ),
        ("images/*.gif", FileNotFoundError, r"no images in images/\*.gif; .* found nothing"),
        ("images/notes.txt", FileNotFoundError, "no images in images/notes.txt"),
        ("lost.txt", FileNotFoundError, r"lost.txt lists 2 paths and none of them exists, such as x.png; they are"),
        ("model.bin", ValueError, "model.bin is neither a text nor an image of the suffixes .bmp"),
    ],
)
def test_nothing_to_find(
    given: str, error: type[Exception], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "empty").mkdir()
    for name in "ab":
        (folder.parent / "empty" / f"{name}.txt").write_bytes(b"")
    Path("lost.txt").write_text("x.png\ny.png\n")
    Path("model.bin").write_bytes(b"\x00\x01")
    with pytest.raises(error, match=message):
        list_images(given)
