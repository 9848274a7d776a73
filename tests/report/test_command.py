"""padim-report as a user types it, against the golden report."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from padim.report import command as report
from padim.report.runs import FINISHED
from tests.report.mixed import build
from tests.report.regenerate import FILES, GOLDEN
from tests.report.test_sheet import assert_balanced
from tests.report.tree import ablate, train


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["padim-report", *map(str, arguments)])
    report.main()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a report, and what was printed."""
    root = tmp_path_factory.mktemp("mixed")
    command = [
        sys.executable,
        "-m",
        "padim.report.command",
        *map(str, build(root / "runs")),
        "--output",
        "some/report",
    ]
    path = str(Path(__file__).parents[2])
    result = subprocess.run(command, cwd=root, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return root / "some/report", result.stdout


@pytest.mark.parametrize("name", FILES)
def test_the_golden_report(name: str, reported: tuple[Path, str]) -> None:
    """Meant to differ? python -m tests.report.regenerate"""
    assert (reported[0] / name).read_text() == (GOLDEN / name).read_text()


def test_every_file_is_listed_and_every_picture_shown(reported: tuple[Path, str]) -> None:
    folder, printed = reported
    listed = printed.partition("written:\n")[2].split()
    assert sorted(listed) == sorted(f"some/report/{path.name}" for path in folder.iterdir())
    pictures = re.findall(r"!\[.*\]\((.*)\)", (folder / "report.md").read_text())
    assert sorted(pictures) == sorted(path.name for path in folder.glob("*.png"))
    assert len(pictures) > 8


def test_the_terminal_shows_the_tables(reported: tuple[Path, str]) -> None:
    folder, printed = reported
    tables = [line for line in (folder / "report.md").read_text().splitlines() if line.startswith(("|", "#", "- "))]
    assert [line for line in printed.splitlines() if line.startswith(("|", "#", "- "))] == tables


def test_every_tex_is_balanced(reported: tuple[Path, str]) -> None:
    files = sorted(reported[0].glob("*.tex"))
    assert len(files) == len(list(reported[0].glob("*.csv"))) > 6
    for path in files:
        assert_balanced(path.read_text())


def test_only_failed_runs_make_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (train(tmp_path / "runs/a", (99, 98, 94)) / FINISHED).unlink()
    run(monkeypatch, tmp_path / "runs", "--output", tmp_path / "report")
    printed = capsys.readouterr().out
    assert "0 finished runs, 0 results; 1 failed, or still running." in printed
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["report.md"]


def test_unreadable_curves_are_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (train(tmp_path / "runs/a", (99, 98, 94)) / "curves.csv").write_text("head")
    run(monkeypatch, tmp_path / "runs", "--output", tmp_path / "report")
    assert "- `runs/a`: curves.csv: the columns are head;" in (tmp_path / "report/report.md").read_text()


def test_errors_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"padim-report: .*nowhere is no folder"):
        run(monkeypatch, tmp_path / "nowhere", "--output", tmp_path / "report")
    with pytest.raises(SystemExit, match=r"padim-report: no run in or below"):
        run(monkeypatch, tmp_path, "--output", tmp_path / "report")
    (ablate(tmp_path / "run", []) / "heads.csv").write_text("name\n")
    with pytest.raises(SystemExit, match=r"padim-report: .*heads.csv has no column layers, reduction"):
        run(monkeypatch, tmp_path, "--output", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_it_starts_without_torch_hydra_and_matplotlib() -> None:
    script = "import sys, padim.report.command; print({'torch', 'hydra', 'omegaconf', 'matplotlib'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"
