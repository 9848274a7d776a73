"""Imports point one way, and only the commands know Hydra."""

import ast
from pathlib import Path

import pytest

import padim

PACKAGE = Path(padim.__file__).parent
# Each may import those below it, and its own kind.
LAYERS = [
    {"padim.commands"},
    {"padim.run_page"},
    {"padim.predict", "padim.progress", "padim.report"},
    {"padim.export"},
    {"padim.ablation", "padim.checkpoint"},
    {"padim.baselines", "padim.module"},
    {"padim.trained"},
    {"padim.method", "padim.one_epoch"},
    {"padim.evaluated"},
    {"padim.evaluation", "padim.model"},
    {"padim.data", "padim.decisions", "padim.estimate", "padim.extractor", "padim.metrics", "padim.sharing"},
    {"padim.backbone", "padim.cells", "padim.heads", "padim.leave_one_out", "padim.processes"},
    {"padim.execution", "padim.head", "padim.taps", "padim.weights"},
    {"padim.counting", "padim.whitening"},
    {"padim.statistics"},
    {"padim.derivation", "padim.embedding"},
    {"padim.pyramid"},
    {"padim.covariance", "padim.gaussian", "padim.grids", "padim.kinds", "padim.memory", "padim.untrusted_tensors"},
    {
        "padim.activations",
        "padim.calibration",
        "padim.chi_squared",
        "padim.curves",
        "padim.folding",
        "padim.ledger",
        "padim.precision",
        "padim.reduction",
        "padim.scoring",
        "padim.triangle",
        "padim.untrusted",
        "padim.writing",
    },
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {
                f"{node.module}.{alias.name}" if node.module == "padim" else str(node.module) for alias in node.names
            }
    return names


def area(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = area(".".join(["padim", *path.relative_to(PACKAGE).with_suffix("").parts]))
    for module in imported(path):
        if module.startswith("padim."):
            assert RANK[area(module)] > RANK[own] or area(module) == own or RANK[own] == len(LAYERS) - 1
        if module.split(".")[0] in ("hydra", "omegaconf"):
            assert own == "padim.commands"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) < 200
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length < 30, f"{node.name} has {length} lines"
