"""A search by Optuna, and the objective that it is told."""

import json
from pathlib import Path

import pytest
import yaml

from padim.commands import train
from padim.commands.objective import achieved
from padim.evaluation import METRICS
from tests.commands.test_run import TINY, command, run

SEARCHED = ["layers", "reduction.dim", "covariance.eps", "model.anomaly_map.sigma"]
SMALL = [override for override in TINY if "reduction" not in override]


@pytest.mark.slurm
@pytest.mark.filterwarnings("ignore")  # optuna 2 is old
def test_three_trials(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same once more: the sampler is seeded, and the runs, finished by then, give their objectives."""
    overrides = ["sweep=optuna", f"output_dir={tmp_path}", f"dataset.root={synthetic}", *SMALL]
    overrides += ["hydra.sweeper.n_trials=3", "reduction.dim=choice(8, 12)"]
    result = command("train", *overrides)
    assert result.returncode == 0, result.stderr
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    found = {path: json.loads(path.read_text())["pixel_auroc"] for path in tmp_path.glob("*/metrics.json")}
    assert len(found) == 3
    assert best["best_value"] == max(found.values())
    assert sorted(best["best_params"]) == sorted(SEARCHED)
    winner = max(found, key=lambda path: found[path]).parent.name.split(",")
    assert {f"{name}={value}" for name, value in best["best_params"].items()} <= set(winner)

    written = {path: path.stat().st_mtime_ns for path in found}
    run(monkeypatch, train.main, *overrides)
    assert yaml.safe_load((tmp_path / "optimization_results.yaml").read_text()) == best
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/metrics.json")} == written


def test_an_unknown_objective_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="objective=auroc is no metric; choose image_auroc, pixel_auroc, pro, or null"):
        run(monkeypatch, train.main, f"output_dir={tmp_path}", "objective=auroc")
    assert not (tmp_path / "csv").exists()


def test_the_objective_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"image_auroc": 0.5, "pixel_auroc": None, "fit_seconds": 1.0}))
    assert achieved(None, tmp_path / "none") is None
    assert achieved("image_auroc", tmp_path) == 0.5
    for name in METRICS[1:]:
        with pytest.raises(ValueError, match=f"objective={name} cannot be measured .* it measured image_auroc"):
            achieved(name, tmp_path)
