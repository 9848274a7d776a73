"""padim-ablate: many heads in one pass, the same as one run each."""

import json
from pathlib import Path

import pytest

from padim import memory
from padim.commands import ablate, train
from tests.commands.test_run import TINY, command, rows, run
from tests.drawn import draw

SMALL = [override for override in TINY if "reduction" not in override]
HEADS = {
    "l123-none-sample-eps0.01-seed0": ["reduction=none"],
    "sum123-none-sample-eps0.01-seed0": ["reduction=none", "layers=sum123"],
    "l12-random20-oas-eps0-seed3": ["layers=l12", "reduction.dim=20", "covariance=oas", "seed=3"],
    "l123-pca20-sample-pool3-eps0.01-seed0": ["reduction=pca", "reduction.dim=20", "covariance=pooled"],
    "l123-semi_orthogonal_blocks20-sample-poolall-eps0.01-seed1": [
        "reduction=semi_orthogonal_blocks",
        "reduction.dim=20",
        "covariance=pooled_all",
        "seed=1",
    ],
}
BLOCKS = [
    "+heads.all={layers: [l123, sum123]}",
    "+heads.oas={layers: l12, reduction: random, dim: 20, covariance: oas, seed: 3}",
    "+heads.pca={reduction: pca, dim: 20, pool: 3}",
    "+heads.blocks={reduction: semi_orthogonal_blocks, dim: 20, pool: all, seed: 1}",
]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=7, test_good=4)
    return root


@pytest.fixture(scope="module")
def finished(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    result = command("ablate", f"output_dir={folder}", f"dataset.root={synthetic}", *SMALL, *BLOCKS)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


@pytest.mark.slow
def test_what_is_left_behind(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    heads = rows(folder / "heads.csv")
    assert [row["name"] for row in heads] == list(HEADS)
    assert list(heads[0]) == [
        *("name", "layers", "reduction", "dim", "covariance", "pool", "eps", "seed"),
        *("image_auroc", "pixel_auroc", "pro"),
    ]
    assert [row["dim"] for row in heads] == ["", "", "20", "20", "20"]
    assert list(rows(folder / "predictions.csv")[0]) == ["path", "label", *HEADS]
    curves = rows(folder / "curves.csv")
    assert len(curves) == len(HEADS) * 3 * 201
    facts = json.loads((folder / "metrics.json").read_text())
    assert set(facts) == {"fit_seconds", "test_seconds", "peak_memory_mb", "train_images", "test_images"}
    assert facts["train_images"] == 7
    for row in heads:
        assert 0 <= float(row["pixel_auroc"]) <= 1
        assert row["name"] in printed
    assert printed.count("levels become one on the 16 x 16 grid") == 3  # oas, pca and pooled, not the projections


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_the_separate_run(
    name: str, finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={synthetic}", *SMALL, *HEADS[name])
    alone = [float(row["score"]) for row in rows(tmp_path / "predictions.csv")]
    together = [float(row[name]) for row in rows(finished[0] / "predictions.csv")]
    assert together == pytest.approx(alone, rel=1e-5)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    (head,) = [row for row in rows(finished[0] / "heads.csv") if row["name"] == name]
    for metric in ("image_auroc", "pixel_auroc", "pro"):
        assert float(head[metric]) == pytest.approx(metrics[metric], abs=1e-3)


@pytest.mark.slow
def test_several_passes_are_one(
    finished: tuple[Path, str], synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *SMALL, *BLOCKS, "heads_per_pass=2"]
    run(monkeypatch, ablate.main, *overrides)
    for ours, its in zip(rows(tmp_path / "predictions.csv"), rows(finished[0] / "predictions.csv"), strict=True):
        for name in HEADS:
            assert float(ours[name]) == pytest.approx(float(its[name]), rel=1e-5)


def test_what_will_not_fit_is_refused_before_it_is_tried(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = f"dataset.root={synthetic}"
    two = [f"output_dir={tmp_path / 'two'}", data, *SMALL, "+heads.all={layers: [l123, l12]}"]
    with monkeypatch.context() as patch:
        patch.setattr(memory, "available", lambda: 10**8)
        with pytest.raises(MemoryError, match=r"2 heads need 0\.\d GB .* 0\.1 GB are free: set heads_per_pass"):
            run(patch, ablate.main, *two)
    large = ["dataset.resize=[2048,2048]", "dataset.image_size=[2048,2048]", "+heads.all={covariance: oas}"]
    with pytest.raises(MemoryError, match=r"1 heads need 2\d\d\.\d GB"):
        run(monkeypatch, ablate.main, f"output_dir={tmp_path / 'large'}", data, *large)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "there is no head"),
        (["+heads.a={layers: l1, reduction: random, dim: 65}"], "the head l1-random65.* is impossible: cannot keep 65"),
        (["+heads.a={layers: l9}"], r"layers \[9\] are not"),
        (["+heads.a={}", "heads_per_pass=0"], "heads_per_pass=0; it must be 1 or more"),
    ],
)
def test_impossible_lists(
    overrides: list[str], message: str, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=message):
        run(monkeypatch, ablate.main, f"output_dir={tmp_path}", f"dataset.root={synthetic}", *SMALL, *overrides)
