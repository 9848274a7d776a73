"""Memory that does not grow with the images, and an image that is too large for it."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from padim.commands import predict
from tests.commands.test_run import rows, run
from tests.corpus.images import png
from tests.corpus.test_bad_images import resident
from tests.data.files import write

LITTLE_MEMORY = """
import re, resource, sys
from pathlib import Path
from padim.data.decoding import read_rgb
from padim.data.scaling import Scaling
from padim.predict.images import Images
images = Images(sys.argv[1:], Scaling((8, 8)), (8, 8), pictures=False)
used = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
print(images[0].reason)
print(images[1].path)
try:
    read_rgb(Path(sys.argv[1]))
except MemoryError as error:
    print(error)
"""


@pytest.mark.slow
def test_predicting_hundreds_takes_no_more_memory_than_predicting_some(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process, one image in ten of which cannot be read. The first time fills what all later ones use again."""
    memory = []
    for turn, count in enumerate((60, 60, 500)):
        folder = tmp_path / str(turn)
        first = write(folder / "0.png", size=(30, 30))
        for number in range(1, count):
            if number % 10:
                (folder / f"{number}.png").hardlink_to(first)
            else:
                (folder / f"{number}.png").write_bytes(first.read_bytes()[:500])
        out = tmp_path / f"out{turn}"
        options = [f"checkpoint={checkpoint}", f"input={folder}", f"output_dir={out}"]
        run(monkeypatch, predict.main, *options, "overlays=false", "contact_sheet=false")
        gc.collect()  # of a model that is held by nothing but itself
        memory.append(resident())
        assert len(rows(out / "predictions.csv")) + len(rows(out / "skipped.csv")) == count
    assert memory[2] - memory[1] < 16 * 2**20


@pytest.mark.slow
def test_an_image_for_which_memory_is_too_short_is_named(tmp_path: Path) -> None:
    """To a prediction it is one that cannot be read, and tried again the next time; a fit ends."""
    (tmp_path / "huge.png").write_bytes(png(12_000, 12_000, 1, 0, bytes(1501 * 12_000)))
    paths = [tmp_path / "huge.png", write(tmp_path / "small.png")]
    result = subprocess.run([sys.executable, "-c", LITTLE_MEMORY, *paths], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "there is not enough memory for it; reduce it, or lower num_workers",
        str(paths[1]),
        f"not enough memory for the image {paths[0]}; reduce it, or lower num_workers",
    ]
