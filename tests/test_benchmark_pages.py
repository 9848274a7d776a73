"""The long measurements of the benchmark run through, in their quick form; their figures are their own business."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.benchmark.bounded import BeyondBoundsError, answer
from experiments.benchmark.contenders import MODELS, Ours, drawn, fit, kept_channels
from experiments.benchmark.kept import Kept
from experiments.benchmark.peers import anomalib_needs
from experiments.benchmark.peers_page import Comparison
from experiments.benchmark.scaling_plan import FRAMES, SHARDS, Campus
from experiments.benchmark.soak_page import Sample, Soak

CHECKOUT = Path(__file__).parents[1]
PEERS = CHECKOUT / ".venv-peers" / "bin" / "python"


def run(module: str, *arguments: str | Path, python: str | Path = sys.executable) -> None:
    """Two threads that wait for a core taken by others would take minutes."""
    command = [python, "-m", f"experiments.benchmark.{module}", "--quick", *arguments]
    subprocess.run(command, check=True, cwd=CHECKOUT, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.mark.slow
def test_the_soak_runs_and_ends_as_it_began(tmp_path: Path) -> None:
    """Memory over more images is in tests/predict/test_many.py and tests/corpus/test_steady_memory.py."""
    run("soak", "--write", tmp_path / "SOAK.md")
    page = (tmp_path / "SOAK.md").read_text()
    assert (tmp_path / "soak.png").is_file()
    assert re.search(r"^\| 320 \| \d+ \| \d+ \|$", page, re.MULTILINE)
    first, last = (float(x) for x in re.search(r"first image ([\d.]+), .* image, ([\d.]+):", page).groups())
    assert first == pytest.approx(last, rel=1e-5)


@pytest.mark.slow
def test_scaling_gives_every_table_and_the_plan(tmp_path: Path) -> None:
    run("scaling", "--keep", tmp_path / "kept.json", "--write", tmp_path / "SCALING.md")
    page = (tmp_path / "SCALING.md").read_text()
    assert (tmp_path / "scaling.png").is_file()
    assert not (tmp_path / "kept.json").exists()
    assert re.findall(r"^\| (\w[\w ]*) \| fit, s", page, re.MULTILINE) == ["images", "image size", "channels", "layers"]
    assert "| all, S jobs at once |" in page
    assert "nan" not in page


@pytest.mark.slow
def test_peers_agree_and_every_row_comes_out(tmp_path: Path) -> None:
    if not PEERS.exists():
        pytest.skip("anomalib is not installed: make bench-peers makes .venv-peers")
    run("peers", "--keep", tmp_path / "kept.json", "--write", tmp_path / "PEERS.md", python=PEERS)
    page = (tmp_path / "PEERS.md").read_text()
    rows = re.findall(r"^\| (.*?) \| R18-Rd100 \| ([\d.e+]+) \S+.*? \| ([\d.e+]+) ", page, re.MULTILINE)
    assert [what for what, _, _ in rows[:4]] == [
        "fit, N = 4",
        "peak memory of a fit, N = 4",
        "peak memory of scoring a batch",
        "images to scores, batch 1",
    ]
    assert len(rows) == 9
    assert float(re.search(r"at most (\S+) \(R18", page)[1]) < 1e-4


def test_what_needs_too_much_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hungry.py").write_text(
        "import sys\nx = bytearray(int(sys.argv[1]))\nwhile sys.argv[2] == 'wait': pass\n"
    )
    (tmp_path / "modest.py").write_text("print('before')\nprint('[1, {\"a\": 2}]')\n")
    (tmp_path / "broken.py").write_text("raise KeyError('why')\n")
    monkeypatch.chdir(tmp_path)
    assert answer("modest", gigabytes=1, minutes=1) == [1, {"a": 2}]
    with pytest.raises(BeyondBoundsError, match=r"does not fit into 0\.5 GB"):
        answer("hungry", "1000000000", "go", gigabytes=0.5, minutes=1)
    with pytest.raises(BeyondBoundsError, match=r"not done in 0\.005 minutes"):
        answer("hungry", "1", "wait", gigabytes=0.5, minutes=0.005)
    with pytest.raises(RuntimeError, match="KeyError: 'why'"):
        answer("broken", gigabytes=1, minutes=1)


def test_measurements_are_made_once(tmp_path: Path) -> None:
    def made_twice() -> float:
        raise AssertionError("it was kept")

    path = tmp_path / "folder" / "kept.json"
    assert Kept(path)("a", lambda: (1.5, math.inf)) == [1.5, math.inf]
    assert Kept(path)("a", made_twice) == [1.5, math.inf]
    late = Kept(path, minutes=-1)
    assert late("a", made_twice) == [1.5, math.inf]
    assert late("b", made_twice) is None
    with pytest.raises(SystemExit, match=r"minutes are over; the same command goes on from .*kept\.json"):
        late.finish()
    Kept(path).finish()
    assert not path.exists()


def test_both_sides_get_the_channels_of_the_draw() -> None:
    """Those that ours keeps, in the order of the joined feature maps."""
    backbone, reduction = drawn(MODELS["R18-Rd100"])
    kept = kept_channels(reduction)
    assert len(kept) == 100
    features = [torch.rand(1, count, 1, 1) for count in backbone.channels]
    ours = torch.cat([f[0, :, 0, 0] @ matrix for f, matrix in zip(features, reduction.matrices, strict=True)])
    torch.testing.assert_close(ours, torch.cat(features, 1)[0, kept, 0, 0], rtol=0, atol=0)


def test_our_side_is_padim(tmp_path: Path) -> None:
    ours = Ours(MODELS["R18-Rd100"])
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fit(ours, images.split(2))
    ours.save(tmp_path / "head.pt")
    again = Ours(MODELS["R18-Rd100"])
    again.load(tmp_path / "head.pt")
    torch.testing.assert_close(again.score(images), ours.model(images).score, rtol=0, atol=0)
    assert ours.distances(images).shape == (3, 56, 56)


def test_what_does_not_fit_is_known_beforehand() -> None:
    """4 (P, D, D) matrices beside the embeddings; of many images two copies of the embeddings are more."""
    assert anomalib_needs(MODELS["R18-Rd100"], 0) == pytest.approx(1.1 + 16 * 3136 * 100**2 / 1e9)
    assert anomalib_needs(MODELS["R18-Rd100"], 10**4) == pytest.approx(1.1 + 2 * 4 * 10**4 * 3136 * 100 / 1e9)


def test_a_comparison_says_what_is_missed_and_what_does_not_fit() -> None:
    met = Comparison("fit", "R18", [(1.0, 4.0), (2.0, 6.0), (1.0, 5.0)], "s", 3.0)
    assert str(met) == "| fit | R18 | 1 s | 5 s | 4.0 | 3.0 to 5.0 (3) | >= 3 | met |"
    assert "| >= 5 | **missed by 1.0** |" in str(Comparison("fit", "R18", met.pairs, "s", 5.0))
    too_large = Comparison("fit", "WR50", [(2.0, math.nan)], "s", 3.0, "does not fit: needs 21 GB, 20 are free")
    assert str(too_large) == "| fit | WR50 | 2 s | does not fit: needs 21 GB, 20 are free |  |  |  |  |"


def test_growth_is_the_slope_after_a_tenth() -> None:
    samples = [Sample(i, 100 * i, (50 if i < 10 else 100) + 0.2 * i) for i in range(1, 101)]
    soak = Soak(samples, 10_000, 1.0, 1.0, 0.1)
    assert soak.growth == pytest.approx(2.0)
    assert soak.speed(0.1, 0.2) == pytest.approx(100)
    assert "| 10000 | 100 | 120 |" in soak.table()


def test_the_plan_adds_up() -> None:
    fit_of = {"peak": 1.5, "statistics": 0.1, "whitening": 0.2, "network": 0.3, "backbone": 10.0, "update": 2.0}
    video = {"extraction": 5.0, "loading": 4.0, "kilobytes": 100.0}
    merges = {shards: {"merge": 1 + 2.0 * shards, "entry": 1e-7, "merge peak": 3.0} for shards in (2, 4)}
    campus = Campus(fit_of | {"factorisation": 3.0}, video, 7.0, merges, 8)
    steps = {step: figure for (step, _), figure in campus.steps().items()}
    assert campus.rest == pytest.approx(1.2)
    assert (campus.per_shard, campus.merge_rest) == (2.0, 1.0)
    shard, merge, extraction = 7 + FRAMES / SHARDS * 0.016 + 3, 1 + 2 * SHARDS, FRAMES * 0.005
    assert steps["a shard, time"] == f"{shard / 60:.0f} min"
    assert steps["all, S jobs at once"] == f"{(extraction + shard + merge) / 60:.0f} min"
    assert steps["all checkpoints, disk"] == f"{SHARDS * (0.6 + FRAMES / SHARDS * 1e-7):.2f} GB"
