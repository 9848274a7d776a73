"""Pages of runs, of everything that a run may have or lack."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from padim.commands import evaluate, train
from tests.commands.test_run import run
from tests.page.chromium import Chromium, chromium, install_missing
from tests.predict.photos import plate, save

KIND, NAME = "<script>alert(1)<b>", "<img src=x onerror=alert(1)>&\"'$\\x$\udcff.png"
"""Of a folder and of a file, as an enemy would choose them; no Unicode, and no TeX."""
SMALL = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "reduction.dim=20"]
PADDED = ["dataset.resize=[128,128]", "dataset.image_size=[128,128]", "dataset.keep_aspect=true"]
CALIBRATED = ["dataset.calibration_fraction=0.3", "calibration.alpha=0.1", "reduction.dim=20"]
LOOSE = ["dataset.on_error=skip", "augmentation.repeats=2", "augmentation.light=0.1"]
QUICK = ["dataset=folder", "data.batch_size=10"]
NAMES = ("whole", "without_masks", "without_anomalous", "untested", "sum")


class Page(NamedTuple):
    """The folder of a run, and its page."""

    folder: Path
    text: str


def draw(root: Path) -> Path:
    """Plates: 30 to fit, 5 normal and 6 anomalous ones to test, of two kinds."""
    for seed in range(35):
        save(plate(seed), root / ("train" if seed < 30 else "test_good") / f"{seed:02}.png")
    for seed in range(6):
        kind, name = (KIND, NAME) if seed == 0 else ("spots", f"{seed}.png")
        box = [20 * seed + 10, 12 * seed + 5, 6 + 2 * seed, 8]
        save(plate(100 + seed, defect=box), root / "test_bad" / kind / name)
        mask = Image.new("L", (151, 97))
        mask.paste(255, (box[0], box[1], box[0] + box[2], box[1] + box[3]))
        save(mask, root / "masks" / kind / name)
    return root


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("pages")
    root = draw(folder / "images")
    checkpoint = f"checkpoint={folder / 'whole' / 'padim.ckpt'}"
    with pytest.MonkeyPatch.context() as patch:
        here = [*QUICK, f"dataset.root={root}"]
        run(patch, train.main, *here, *PADDED, *CALIBRATED, f"output_dir={folder / 'whole'}")
        (root / "train" / "broken.png").write_bytes(b"no image")
        run(patch, train.main, *here, *SMALL, *LOOSE, "layers=sum123", f"output_dir={folder / 'sum'}")
        (root / "train" / "broken.png").unlink()
        run(patch, train.main, *QUICK, *SMALL, f"dataset.root={root / 'train'}", f"output_dir={folder / 'untested'}")
        for part, name in (("masks", "without_masks"), ("test_bad", "without_anomalous")):
            shutil.rmtree(root / part)
            run(patch, evaluate.main, checkpoint, f"output_dir={folder / name}")
    return {name: Page(folder / name, (folder / name / "report.html").read_text()) for name in NAMES}


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    install_missing()
    with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one
