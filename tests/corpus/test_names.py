"""Names of files on pictures and of pictures: whatever they hold, and however long they are."""

import os
from pathlib import Path

import numpy as np
import pytest

from padim.data.listing import printable
from padim.predict.overlay import font, shortened
from padim.predict.pictures import LONGEST, file_name
from padim.writing import replace
from tests.corpus.odd import NAMES


def test_every_name_can_be_shown() -> None:
    """A line break ended the run: Pillow measures single lines."""
    for name in map(os.fsdecode, NAMES):
        shown = shortened(name, 150, font(13))
        assert font(13).getlength(shown) <= 150
        assert shown.isprintable()
        shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"), [("a.png", "a.png"), ("é 文.png", "é 文.png"), ("a\nb\r\t\0\udcff", "a?b????"), ("", "")]
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_a_picture_is_called_as_its_image_unless_that_is_too_long(suffix: str, tmp_path: Path) -> None:
    """No two of a folder share a name; a name of 255 bytes ended the run."""
    names = [os.fsdecode(name) for name in NAMES]
    found = {name: file_name(name, suffix) for name in names}
    assert len(set(found.values())) == len(names)
    for name, file in found.items():
        short = len(os.fsencode(name)) + 1 + len(suffix) <= LONGEST
        assert (file == f"{name}.{suffix}") == short
        assert file.endswith(f".{suffix}")
        replace(tmp_path / "pictures" / file, b"content")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == set(found.values())


def test_names_of_every_length_fit() -> None:
    for length in np.arange(1, 252):
        for letter in ("a", "é", "文", "\U0001f600"):
            name = letter * (length // len(letter.encode())) + ".png"
            assert len(os.fsencode(file_name(name, "tiff"))) <= LONGEST
