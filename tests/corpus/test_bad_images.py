"""Every file of the corpus gives its pixels or is named, to the fit as to predictions, with a cache and without."""

import re
import resource
from pathlib import Path

import numpy as np
import pytest

from padim.data.cache import ImageCache
from padim.data.decoding import UnreadableImageError, read_content, read_rgb
from padim.data.samples import ImageDataset, Sample
from padim.data.scaling import Scaling
from padim.predict.images import Images, Item
from tests.corpus.images import CORPUS, READ, REFUSED

RESIZE, CROP = (48, 40), (40, 40)


def written(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(CORPUS[name].content)
    return folder / name


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read(name: str, tmp_path: Path) -> None:
    path, expected = written(tmp_path, name), READ[name].pixels
    assert expected is not None
    for image in (read_rgb(path), read_rgb(path, read_content(path))):
        assert image.mode == "RGB"
        pixels = np.asarray(image)
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).max() <= READ[name].off


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    message = rf"cannot read the image {re.escape(str(path))} \(.*{REFUSED[name].refused}.*\); replace it or take it"
    for content in (None, path.read_bytes()):
        with pytest.raises(UnreadableImageError, match=message) as raised:
            read_rgb(path, content)
        assert len(str(raised.value).splitlines()) == 1


def fitted(path: Path, keep_aspect: bool, cache: ImageCache | None) -> np.ndarray | str:
    """What a fit makes of an image file, or what it says of it."""
    try:
        return ImageDataset([Sample(path)], RESIZE, CROP, "bicubic", keep_aspect, cache)[0].image.numpy()
    except UnreadableImageError as error:
        return str(error)


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("name", CORPUS)
def test_fits_and_predictions_agree(name: str, keep_aspect: bool, tmp_path: Path) -> None:
    path, cache = written(tmp_path, name), ImageCache(tmp_path / "cache", 1)
    found = Images([str(path)], Scaling(RESIZE, keep_aspect=keep_aspect), CROP, pictures=True)[0]
    expected = found.image if isinstance(found, Item) else found.reason
    for kept in (None, cache, cache):
        np.testing.assert_array_equal(fitted(path, keep_aspect, kept), expected)
    assert isinstance(expected, str) == (name in REFUSED)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_nothing_is_left_open_or_in_memory(tmp_path: Path) -> None:
    paths = [str(written(tmp_path, name)) for name in CORPUS]
    images = Images(paths, Scaling(RESIZE), CROP, pictures=True)

    def read(times: int) -> tuple[int, int]:
        for _ in range(times):
            for index in range(len(paths)):
                images[index]
        return len(list(Path("/proc/self/fd").iterdir())), resident()

    (files, memory), (files_later, memory_later) = read(3), read(8)
    assert files_later == files
    assert memory_later - memory < 8 * 2**20
