"""Real MVTec AD images with real ImageNet weights: the figures of the paper.

The references were measured with an independent, dense, float64 implementation on the same images.
"""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from padim.commands import ablate, train
from tests.commands.test_run import rows, run


@pytest.mark.slow
def test_all_channels(mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [f"output_dir={tmp_path}", f"dataset.root={mvtec}", f"backbone.weights={weights}"]
    run(monkeypatch, train.main, "experiment=padim_r18", *files)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["image_auroc"] == pytest.approx(0.9960, abs=0.003)
    assert metrics["pixel_auroc"] == pytest.approx(0.9812, abs=0.003)
    assert metrics["pro"] == pytest.approx(0.9452, abs=0.003)
    assert metrics["pixel_auroc_error_bound"] < 1e-4


@pytest.mark.slow
def test_half_precision(mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the network alone; the bounds are those that the documentation states."""
    files = [f"dataset.root={mvtec}", f"backbone.weights={weights}"]
    found = []
    for answer in ("false", "true"):
        folder = tmp_path / answer
        options = [f"execution.bfloat16={answer}", f"output_dir={folder}", *files]
        run(monkeypatch, train.main, "experiment=padim_r18_rd100", *options)
        scores = [float(row["score"]) for row in rows(folder / "predictions.csv")]
        found.append((scores, json.loads((folder / "metrics.json").read_text())))
    (scores, metrics), (half_scores, half_metrics) = found
    assert half_scores == pytest.approx(scores, rel=0.02)
    assert half_scores != scores
    for name in ("image_auroc", "pixel_auroc", "pro"):
        assert half_metrics[name] == pytest.approx(metrics[name], abs=0.001)


@pytest.mark.slow
def test_a_hundred_random_channels(
    mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five draws in one pass."""
    files = [f"output_dir={tmp_path}", f"dataset.root={mvtec}", f"backbone.weights={weights}", "dataset=mvtec"]
    run(monkeypatch, ablate.main, "+heads.rd={reduction: random, dim: 100, seed: [0, 1, 2, 3, 4]}", *files)
    auroc, pro = ([float(row[name]) for row in rows(tmp_path / "heads.csv")] for name in ("pixel_auroc", "pro"))
    with capsys.disabled():
        for name, values in (("pixel AUROC", auroc), ("PRO", pro)):
            spread = f"{mean(values):.4f} +- {stdev(values):.4f}, {min(values):.4f} to {max(values):.4f}"
            print(f"\nbottle, R18-Rd100, five draws: {name} {spread}", end="")
    assert mean(auroc) == pytest.approx(0.979, abs=0.002)
    assert mean(pro) == pytest.approx(0.939, abs=0.005)
