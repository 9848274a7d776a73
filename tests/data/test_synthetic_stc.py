"""The synthetic campus: reproducible videos, exact masks, and both protocols of STC from video to pixel AUROC."""

import json
from pathlib import Path

import numpy as np
import pytest

from padim.commands import evaluate, train
from padim.data.drawing.campus import Scene
from padim.data.drawing.canvas import Array, Canvas
from padim.data.drawing.traffic import Actor, picture
from padim.data.synthetic_stc import SyntheticSTC, film, generate
from tests.commands.test_run import run


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with a video of each kind, where the reader looks for them."""
    root = tmp_path_factory.mktemp("campus")
    generate(SyntheticSTC(root).root, scenes=("01", "02"), videos=1, train_frames=12, test_frames=10)
    return root


TINY = ["dataset=synthetic_stc", "dataset.train_frames=8", "data.batch_size=4", "reduction.dim=20"]
TINY += ["dataset.resize=[64,64]", "dataset.image_size=[64,64]"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "train_images", "test_images"),
    [([], 8, 10), (["dataset.per_scene=true", "dataset.category=02"], 8, 5)],
    ids=["pooled", "per_scene"],
)
def test_from_video_to_pixel_auroc(
    campus: Path,
    protocol: list[str],
    train_images: int,
    test_images: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(monkeypatch, train.main, f"output_dir={tmp_path}", f"dataset.root={campus}", *TINY, *protocol)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["test_images"]) == (train_images, test_images)
    assert 0.5 < metrics["pixel_auroc"] <= 1
    again = [f"checkpoint={tmp_path / 'padim.ckpt'}", f"output_dir={tmp_path / 'again'}", "data.batch_size=4"]
    run(monkeypatch, evaluate.main, *again)
    assert (tmp_path / "again/predictions.csv").read_bytes() == (tmp_path / "predictions.csv").read_bytes()


def test_the_campus_is_drawn_once_in_the_layout(campus: Path) -> None:
    reader = SyntheticSTC(campus, test_stride=1)
    reader.prepare()
    assert len(reader.train()) == 24
    test = reader.test()
    assert len(test) == 20
    assert 0 < sum(sample.label for sample in test) < 20
    labels = np.load(reader.root / "testing/test_frame_mask/01_0001.npy")
    assert labels.tolist() == [sample.label for sample in test[:10]]


def test_a_video_depends_on_its_arguments_alone() -> None:
    def pictures(*arguments: object) -> np.ndarray:
        return np.stack([shot.image for shot in film(*arguments)])

    first = pictures(3, "01", "train", 0, 4)
    assert np.array_equal(first, pictures(3, "01", "train", 0, 4))
    for seed, scene, split, index in ((4, "01", "train", 0), (3, "02", "train", 0), (3, "01", "train", 1)):
        assert not np.array_equal(first, pictures(seed, scene, split, index, 4))


# Mean grey level of each scene's first training frame, seed 0. If the drawing is changed on purpose: raise VERSION.
GOLDEN = {"01": 135.710, "02": 100.877, "03": 104.927}


@pytest.mark.parametrize(("scene", "mean"), GOLDEN.items())
def test_the_campus_is_the_same_in_every_process(scene: str, mean: float) -> None:
    assert next(film(0, scene, "train", 0, 4)).image.mean() == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize("scene", GOLDEN)
@pytest.mark.parametrize("index", [0, 1])
def test_the_intruder_comes_and_goes_and_nobody_else_is_masked(
    scene: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theorem: outside the mask the video is its twin without an intruder, bit for bit; inside the intruder shows."""
    shots = list(film(0, scene, "test", index, 12))

    def of_walkers(scene: Scene, place: Canvas, actors: list[Actor], frame: int) -> Array:
        return picture(scene, place, [actor for actor in actors if actor.name == "walker"], frame)

    monkeypatch.setattr("padim.data.synthetic_stc.picture", of_walkers)
    twins = list(film(0, scene, "test", index, 12))
    areas = [int(shot.mask.sum()) for shot in shots]
    assert areas[0] == areas[-1] == 0
    assert max(areas) > 200
    for shot, twin in zip(shots, twins, strict=True):
        inside = shot.mask > 0
        assert np.array_equal(shot.image[~inside], twin.image[~inside])
        changed = (shot.image != twin.image).any(axis=2)
        assert not inside.any() or changed[inside].mean() > 0.95


def test_errors_name_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset.seed=-1: it must be 0 or more"):
        SyntheticSTC(tmp_path, seed=-1)
