"""The experiments that compare methods, by the commands in their headers, on small synthetic images."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from padim.report import command as report
from tests.drawn import draw

SMALL = ["dataset=synthetic", "dataset.resize=[122,122]", "dataset.image_size=[112,112]", "backbone.weights=random"]
SMALL += ["data.batch_size=8", "trainer.max_epochs=1", "dataset.category=board"]


def reported(experiment: str, root: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> list[dict[str, str]]:
    """The table of costs; the report is in the folder ``report``."""
    draw(root / "data", "board", train=24, test_good=4)
    given = [f"experiment=paper/{experiment}", f"dataset.root={root / 'data'}", f"output_dir={root / 'runs'}"]
    command = [sys.executable, "-m", "padim.commands.train", *given, *SMALL, *overrides]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=500)
    monkeypatch.setattr(sys, "argv", ["padim-report", str(root / "runs"), "--output", str(root / "report")])
    report.main()
    with (root / "report" / "costs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_methods_stand_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its quality, times and memory; what differs from its paper is in its name and its layers."""
    rows = {row["model"].partition(",")[0].split()[0]: row for row in reported("methods", tmp_path, monkeypatch)}
    assert list(rows) == ["padim", "ae_l2", "ae_ssim", "dn2", "mahalanobis_ad", "patchcore", "spade", "vae"]
    assert "image_stage=3" in rows["spade"]["model"]
    assert [rows[name]["layers"] for name in ("spade", "dn2", "vae", "ae_l2")] == ["l123", "l3", "l3", ""]
    for name, row in rows.items():
        assert 0 <= float(row["image_auroc"]) <= 100
        assert bool(row["pixel_auroc"]) == bool(row["pro"]) == (name not in ("dn2", "mahalanobis_ad"))
        assert all(float(row[cost]) > 0 for cost in ("fit_seconds", "image_ms", "model_mb", "peak_mb"))
    peaks = [float(row["peak_mb"]) for row in rows.values()]
    assert peaks != sorted(peaks)  # one process for all would have shown the highest so far


@pytest.mark.slow
def test_memory_grows_with_the_images_of_all_but_padim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, dict[int, float]] = {}
    for row in reported("memory", tmp_path, monkeypatch, "dataset.shard=1/4,1/2,1/1"):
        by_images = sizes.setdefault(row["model"].partition(",")[0].split()[0], {})
        by_images[int(float(row["train_images"]))] = float(row["model_mb"])
    assert {name: sorted(sizes[name]) for name in sizes} == {
        name: [6, 12, 24] for name in ("padim", "spade", "patchcore")
    }
    assert len(set(sizes["padim"].values())) == 1
    for name in ("spade", "patchcore"):  # twice the images, twice what is added to the network
        first, second, third = (sizes[name][count] for count in (6, 12, 24))
        assert third - second == pytest.approx(2 * (second - first), rel=0.02)
    assert (tmp_path / "report" / "memory.png").is_file()
