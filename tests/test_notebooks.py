"""The notebooks run as they are; they import and never define, and no output of theirs is kept."""

import ast
import asyncio
import os
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.drawn import draw

NOTEBOOKS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))}
CHECKS = {
    "01_padim_by_hand": """
assert len(relative) == len(exact_relative) == 56 * 56
assert relative.max() < 1e-4 and exact_relative.max() < 1e-9 and difference < 1e-10
assert float(apart) < 1e-4 * float(score)
assert [float(image_auroc.compute()) > 0.5, float(pixel_auroc.compute()) > 0.5]
""",
    "02_your_own_data": """
assert (OUTPUT / "run" / "report.html").is_file()
assert len(records) == 10 and any(one["alarm"] for one in records) and not all(one["alarm"] for one in records)
assert all(one["alarm"] == (one["score"] > calibration.threshold) for one in records)
assert abs(sum(records[0]["shares"].values()) - 1) < 1e-3
assert len(module.images) == 28 + len(later[::2]) and module.calibration.threshold != calibration.threshold
""",
    "03_reading_a_sweep": """
import statistics

assert len(found.results) == 24 and len(sheet.rows) == len(cells) == 4 and not unreadable
for cell, results in cells.items():
    seeds = [[100 * one.metrics["pro"] for one in results if one.seed == seed] for seed in range(3)]
    means = [statistics.fmean(of_seed) for of_seed in seeds]
    assert abs(averages["pro"][names[cell]].mean - statistics.fmean(means)) < 1e-9
    assert abs(averages["pro"][names[cell]].std - statistics.stdev(means)) < 1e-9
""",
}
"""What holds where a notebook has run."""
TITLED = """
assert all(axis.get_title() or axis.get_label() == "<colorbar>" for axis in figure.axes), "a picture without a title"
"""


def read(name: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS[name], nbformat.NO_CONVERT)


def code(name: str) -> list[NotebookNode]:
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def test_there_are_three() -> None:
    assert list(NOTEBOOKS) == list(CHECKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_import_and_never_define(name: str) -> None:
    for cell in code(name):
        python = TransformerManager().transform_cell(cell.source)  # no more % and !
        defined = [
            node
            for node in ast.walk(ast.parse(python))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
        ]
        assert not defined, f"what a notebook needs belongs into the library:\n{cell.source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_only_the_source_is_kept(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}  # and no version of it
    assert not any(cell.metadata for cell in notebook.cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(name))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_short(name: str) -> None:
    for cell in code(name):
        assert len(cell.source.splitlines()) <= 24, cell.source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_lead_somewhere(name: str) -> None:
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        assert (NOTEBOOKS[name].parent / target).is_file(), target
    for target in re.findall(r"`((?:padim|experiments)/[\w/.]+)`", text):
        assert (NOTEBOOKS[name].parents[1] / target).is_file(), target


def pictures(notebook: NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [kind for output in outputs for kind in output.get("data", {}) if kind.startswith("image/")]


async def execute(name: str, folder: Path, checks: str, settings: str = "") -> NotebookNode:
    """In a kernel of its own, in ``folder`` / notebooks.

    Args:
        checks: a last cell.
        settings: at the end of the first cell.
    """
    notebook = read(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells[0].source += f"\n{settings}"
    for cell in cells:
        if "plt.subplots" in cell.source:
            cell.source += f"\n{TITLED}"
    notebook.cells.append(nbformat.v4.new_code_cell(checks))
    (folder / "notebooks").mkdir(exist_ok=True)
    resources = {"metadata": {"path": str(folder / "notebooks")}}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder / "ipython")}
    return await NotebookClient(notebook, timeout=300, resources=resources).async_execute(env=environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks run: like a checkout, with few images where the first would draw many."""
    root = tmp_path_factory.mktemp("checkout")
    draw(root / "data" / "synthetic", "board", train=30, test_good=3)
    return root


@pytest.fixture(scope="module")
def executed(folder: Path) -> dict[str, NotebookNode | BaseException]:
    """All of them at the same time, since most of it is one process that imports."""

    async def together() -> list[NotebookNode | BaseException]:
        runs = [execute(name, folder, CHECKS[name]) for name in NOTEBOOKS]
        return await asyncio.gather(*runs, return_exceptions=True)

    return dict(zip(NOTEBOOKS, asyncio.run(together()), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_run(name: str, executed: dict[str, NotebookNode | BaseException]) -> None:
    notebook = executed[name]
    if isinstance(notebook, BaseException):
        raise notebook
    drawing = [cell for cell in code(name) if re.search(r"plt.subplots|^Image\(", cell.source, re.MULTILINE)]
    assert len(pictures(notebook)) == len(drawing) > 3


@pytest.mark.slow
def test_other_images_and_weights(mvtec: Path, weights: Path, tmp_path: Path) -> None:
    """Real ones, on which the method works as it should."""
    reader = f"from padim.data.mvtec import MVTec\nREADER = MVTec({str(mvtec)!r}, 'bottle')"
    checks = "assert image_auroc.compute() > 0.99 and pixel_auroc.compute() > 0.975 and relative.max() < 1e-4"
    asyncio.run(execute("01_padim_by_hand", tmp_path, checks, f"{reader}\nWEIGHTS = {str(weights)!r}"))


@pytest.mark.slow
def test_a_sweep_that_is_there(executed: dict[str, NotebookNode | BaseException], folder: Path) -> None:
    """It is read, and nothing is run."""
    (multirun,) = folder.glob("outputs/*/*/multirun.yaml")
    before = set(multirun.parent.iterdir())
    settings = f"SWEEP = Path({str(multirun.parent)!r})"
    asyncio.run(execute("03_reading_a_sweep", folder, CHECKS["03_reading_a_sweep"], settings))
    assert set(multirun.parent.iterdir()) == before
    assert list(folder.glob("outputs/*/*/multirun.yaml")) == [multirun]
