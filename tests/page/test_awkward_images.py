"""report.html of runs whose images are elongated, or in part unreadable."""

from pathlib import Path

import pytest

from padim.commands import train
from tests.commands.test_run import run
from tests.page.conftest import QUICK, SMALL
from tests.page.test_run_page import Reader
from tests.predict.photos import plate, save


def page(monkeypatch: pytest.MonkeyPatch, root: Path, *overrides: str) -> Reader:
    """Of a run of the images in a folder."""
    run(monkeypatch, train.main, *QUICK, *SMALL, f"dataset.root={root}", f"output_dir={root}_run", *overrides)
    return Reader(Path(f"{root}_run", "report.html").read_text())


@pytest.mark.parametrize(("layers", "read"), [("l3", []), ("sum123", ["layer2", "layer1"])])
def test_patches_that_all_have_padding_in_them_are_named(
    layers: str, read: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At the end of a good run it was an IndexError; 64 by 16 pixels, in which no patch of 16 by 16 lies."""
    for seed in range(8):
        save(plate(seed, size=(40, 160)), tmp_path / "images" / ("train" if seed < 6 else "test_good") / f"{seed}.png")
    of_run = page(monkeypatch, tmp_path / "images", "dataset.keep_aspect=true", f"layers={layers}")
    assert "No reading of layer3: each patch of the normal test images has padding in it." in of_run.text
    assert of_run.text.count("the median of M²") == len(read)
    assert [name for name in of_run.written["h3"] if "layer" in name] == [f"{name} " for name in read]
    assert "has no Gaussian of each patch" not in of_run.text


def test_images_that_calibration_left_out_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without normal test images the page reads those that were held out, and raised what on_error=skip skips."""
    for seed in range(16):
        path = save(plate(seed), tmp_path / "images" / f"{seed:02}.png")
        if seed % 4 == 0:
            path.write_bytes(b"no image")
    of_run = page(monkeypatch, tmp_path / "images", "dataset.on_error=skip", "dataset.calibration_fraction=0.5")
    assert "patches of 6 held-out normal images" in of_run.text  # of 8, two of which are broken
