"""Models of disjoint images join into the model of all, exactly; what does not fit together is refused."""

import shutil
from pathlib import Path

import pytest
import torch

from padim.checkpoint import read_checkpoint
from padim.commands import evaluate, merge, train
from tests.commands.model_files import refused, written
from tests.commands.test_run import TINY, rows, run
from tests.drawn import draw

SHARDS, IMAGES = 16, 37  # two or three images a shard
PLAIN = [*TINY, "trainer.limit_test_batches=0"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=IMAGES, test_good=2)
    return root


def fit(root: Path, folder: Path, *overrides: str) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, train.main, f"output_dir={folder}", f"dataset.root={root}", *PLAIN, *overrides)
    return folder / "padim.ckpt"


@pytest.fixture(scope="module")
def shard(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(root, tmp_path_factory.mktemp("shard"), f"dataset.shard=1/{SHARDS}")


@pytest.fixture(scope="module")
def shards(shard: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    return [shard, *(fit(root, folder / str(n), f"dataset.shard={n}/{SHARDS}") for n in range(2, SHARDS + 1))]


def assert_same_statistics(ours: Path, theirs: Path) -> None:
    states = [read_checkpoint(path)["state_dict"] for path in (ours, theirs)]
    counts = [int(state["model.head.statistics.count"]) for state in states]
    assert counts == [IMAGES, IMAGES]
    for name, value in states[1].items():
        if "statistics.levels" in name:
            assert (states[0][name] - value).abs().max() <= 1e-5 * value.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
def test_sixteen_shards_are_one_run(
    order: int, shards: list[Path], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(root, tmp_path / "whole")
    output = written(monkeypatch, merge.main, tmp_path / "merged.ckpt", *shards[::order])
    assert_same_statistics(output, whole)
    ours, theirs = read_checkpoint(output), read_checkpoint(whole)
    assert sorted(ours["images"]) == sorted(theirs["images"])
    assert len(ours["images"]) == IMAGES
    assert ours["config"] | {"output_dir": ""} == theirs["config"] | {"output_dir": ""}
    for name, checkpoint in (("a", output), ("b", whole)):
        run(monkeypatch, evaluate.main, f"checkpoint={checkpoint}", f"output_dir={tmp_path / name}")
    pairs = zip(rows(tmp_path / "a" / "predictions.csv"), rows(tmp_path / "b" / "predictions.csv"), strict=True)
    assert all(float(a["score"]) == pytest.approx(float(b["score"]), rel=1e-5) for a, b in pairs)


def test_a_shard_given_twice_is_refused(shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name of the file as well."""
    copy = tmp_path / "copy.ckpt"
    shutil.copy(shard, copy)
    said = refused(monkeypatch, merge.main, tmp_path / "merged.ckpt", shard, copy)
    assert said.startswith(f"padim-merge: {copy} does not join {shard}: 3 images would count twice, such as ")
    assert "board/train/good/000.png" in said


def test_the_same_photo_under_another_name_is_refused(
    root: Path, shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "images"
    elsewhere.mkdir()
    for number in (0, 1):
        shutil.copy(next(root.glob(f"*/board/train/good/00{number}.png")), elsewhere / f"other{number}.png")
    other = fit(elsewhere, tmp_path / "run", "dataset=folder", "dataset.resize=[72,72]", "dataset.image_size=[64,64]")
    said = refused(monkeypatch, merge.main, tmp_path / "merged.ckpt", shard, other)
    assert "1 images would count twice, such as" in said
    assert "other0.png" in said


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("backbone.seed=1", "other networks or weights; fit both with one backbone"),
        ("layers=l12", "other networks or weights; fit both with one backbone"),
        (
            "seed=1",
            "other feature maps or channels; fit both with one backbone, layers, image size, reduction and seed",
        ),
        ("reduction=none", "other feature maps or channels"),
        ("dataset.interpolation=bilinear", "its images were read with"),
        ("execution.bfloat16=true", "it or the others were fitted with execution.bfloat16=true"),
        ("model.save_state=false", "has overwritten its statistics"),
    ],
)
def test_models_of_another_kind_are_refused(
    override: str, reason: str, root: Path, shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [option for option in PLAIN if not (override.startswith("reduction=") and "reduction" in option)]
    with monkeypatch.context() as patched:
        options = [f"output_dir={tmp_path}", f"dataset.root={root}", "dataset.shard=2/16", *plain, override]
        run(patched, train.main, *options)
    assert reason in refused(monkeypatch, merge.main, tmp_path / "merged.ckpt", shard, tmp_path / "padim.ckpt")


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1.5/4"])
def test_impossible_shards(shard: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset.shard=.*; it must be like 3/16, the third of sixteen, or null"):
        fit(root, tmp_path, f"dataset.shard='{shard}'")


def test_a_file_that_is_no_checkpoint(shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "other.ckpt")
    assert "is not a checkpoint of padim" in refused(
        monkeypatch, merge.main, tmp_path / "merged.ckpt", shard, tmp_path / "other.ckpt"
    )
