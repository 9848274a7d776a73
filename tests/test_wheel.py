"""The wheel carries its configuration and runs outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

from tests.drawn import draw

CHECKOUT = Path(__file__).parents[1]


def test_an_installed_wheel_trains(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("padim-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"padim/conf/train.yaml", "padim/conf/backbone/resnet18.yaml", "padim/py.typed"} <= set(names)
    assert not any(name.startswith(("tests", "experiments")) for name in names)

    venv.create(tmp_path / "clean", with_pip=False)
    site, bin_ = next((tmp_path / "clean").glob("lib/python*/site-packages")), tmp_path / "clean" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(bin_ / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # only seen, behind the wheel

    draw(tmp_path / "images", "wood", train=3, test_good=2)
    tiny = ["dataset.resize=[32,32]", "dataset.image_size=[32,32]", "reduction.dim=10", "dataset.category=wood"]
    command = [str(bin_ / "padim-train"), "dataset.root=images"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [*command, "output_dir=out", *tiny], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "metrics.json").is_file()
    where = "import padim; print(padim.__file__)"
    found = subprocess.run(
        [bin_ / "python", "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert Path(found.strip()) == site / "padim" / "__init__.py"
