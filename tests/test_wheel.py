"""The wheel and the bare checkout carry their configuration and launchers, and run."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.drawn import draw

CHECKOUT = Path(__file__).parents[1]
LAUNCHER = ["hydra/launcher=slurm_cpu", "--cfg", "hydra", "--package", "hydra.launcher"]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """An environment that has what padim depends on, and not padim. Returns its Python."""
    folder = tmp_path / "clean"
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # only seen, behind what is installed
    return folder / "bin" / "python"


def run(command: list[str], folder: Path) -> str:
    """What a command prints that runs there and finds nothing by PYTHONPATH."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_an_installed_wheel_trains(clean: Path, tmp_path: Path) -> None:
    """From a wheel that is made from the source distribution, which is made from the checkout."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), "."], CHECKOUT)
    (wheel,) = tmp_path.glob("padim-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"padim/conf/train.yaml", "padim/conf/backbone/resnet18.yaml", "padim/py.typed"} <= set(names)
    assert {"padim/conf/hydra/launcher/slurm_cpu.yaml", "hydra_plugins/padim_launcher/slurm.py"} <= set(names)
    assert "hydra_plugins/__init__.py" not in names  # it would hide the plugins of others
    assert {name.split("/")[0] for name in names} == {"padim", "hydra_plugins", "padim-0.1.0.dist-info"}
    pip = [sys.executable, "-m", "pip", "--python", str(clean), "install", "--no-deps", "--no-index"]
    run([*pip, str(wheel)], tmp_path)

    draw(tmp_path / "images", "wood", train=3, test_good=2)
    tiny = ["dataset.resize=[32,32]", "dataset.image_size=[32,32]", "reduction.dim=10", "dataset.category=wood"]
    padim_train = str(clean.with_name("padim-train"))
    run([padim_train, "dataset.root=images", "output_dir=out", *tiny], tmp_path)
    assert (tmp_path / "out" / "metrics.json").is_file()
    assert "PadimSlurmLauncher" in run([padim_train, *LAUNCHER], tmp_path)
    where = "import padim, hydra_plugins.padim_launcher as launcher; print(padim.__file__, launcher.__file__)"
    found = run([str(clean), "-c", where], tmp_path).split()
    assert all(Path(file).is_relative_to(clean.parents[1]) for file in found)


@pytest.mark.slow
def test_a_bare_checkout_finds_its_launchers(clean: Path) -> None:
    assert "PadimSlurmLauncher" in run([str(clean), "-m", "padim.commands.train", *LAUNCHER], CHECKOUT)
