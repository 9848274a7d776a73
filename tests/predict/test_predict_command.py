"""padim-predict as a user types it: every kind of input, broken images, running again, and what it says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from padim.commands import predict
from tests.commands.test_run import rows, run
from tests.predict.photos import VARIANTS, fit, plate, save

Model = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images whose names collide but for their folders and suffixes."""
    for seed, name in enumerate(["x.png", "x.bmp", "a/x.png", "b/c/x.png", "b/c/y.png"]):
        save(plate(seed, (40, 61), [9, 9, 8, 8] if seed == 3 else None), tmp_path / "images" / name)
    return tmp_path / "images"


@pytest.fixture
def predicted(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Predict in this process, into a folder beside the images; gives the names that are in the table then."""

    def names(*options: str, to: str = "out") -> list[str]:
        given = [f"checkpoint={model('stretch')}", f"input={folder}", f"output_dir={folder.parent / to}", *options]
        run(monkeypatch, predict.main, *given)
        paths = [Path(row["path"]) for row in rows(folder.parent / to / "predictions.csv")]
        return [path.relative_to(folder).as_posix() for path in paths]

    return names


def test_names_that_collide_keep_their_folders(predicted: Callable[..., list[str]], folder: Path) -> None:
    names = predicted("maps=tiff")
    assert names == ["a/x.png", "b/c/x.png", "b/c/y.png", "x.bmp", "x.png"]
    out = folder.parent / "out"
    for kind, suffix in (("overlays", "jpg"), ("maps", "tiff")):
        files = {path.relative_to(out / kind).as_posix() for path in (out / kind).rglob("*.*")}
        assert files == {f"{name}.{suffix}" for name in names}
    assert (out / ".hydra" / "config.yaml").is_file()


def test_the_formats_of_maps_agree(predicted: Callable[..., list[str]], folder: Path) -> None:
    for maps in ("npy", "tiff"):
        predicted(f"maps={maps}", "overlays=false", "contact_sheet=false", to=maps)
        assert not (folder.parent / maps / "overlays").exists()
        assert not (folder.parent / maps / "contact_sheet").exists()
    whole = np.load(folder.parent / "npy" / "maps" / "x.png.npy")
    with Image.open(folder.parent / "tiff" / "maps" / "x.png.tiff") as image:
        assert image.mode == "F"
        np.testing.assert_array_equal(np.asarray(image), whole)
    with pytest.raises(ValueError, match="maps=png; known are none, npy, tiff"):
        predicted("maps=png")


@pytest.mark.slow
def test_broken_images_are_listed_and_the_rest_go_on(model: Model, folder: Path) -> None:
    """In a process of its own, fed by standard input, with worker processes."""
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "half.jpg").write_bytes((folder / "x.bmp").read_bytes()[:200])
    (folder / "a" / "gone.png").symlink_to("nowhere")
    listed = "\n".join(str(path) for path in sorted(folder.rglob("*.*")))
    out = folder.parent / "out"
    options = [f"checkpoint={model('stretch')}", "input=-", f"output_dir={out}", "batch_size=2", "num_workers=2"]
    result = subprocess.run(
        [sys.executable, "-m", "padim.commands.predict", *options], input=listed, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "images  5\n" in result.stdout
    assert "skipped  3 images that cannot be read, listed in skipped.csv" in result.stdout
    assert "images a second" in result.stdout
    reasons = {Path(row["path"]).name: row["reason"] for row in rows(out / "skipped.csv")}
    assert set(reasons) == {"broken.png", "half.jpg", "gone.png"}
    assert "no known image format" in reasons["broken.png"]
    assert "No such file" in reasons["gone.png"]
    paths = [row["path"] for row in rows(out / "predictions.csv")]
    assert paths == [path for path in listed.splitlines() if Path(path).name not in reasons]


def test_nothing_but_broken_images(predicted: Callable[..., list[str]], folder: Path) -> None:
    for path in folder.rglob("*.*"):
        path.write_bytes(b"")
    assert predicted() == []
    assert len(rows(folder.parent / "out" / "skipped.csv")) == 5


def test_scores_that_are_no_numbers_are_not_passed_on(
    predicted: Callable[..., list[str]], model: Model, folder: Path
) -> None:
    checkpoint = torch.load(model("stretch"), weights_only=True)
    for name, value in checkpoint["state_dict"].items():
        if name.endswith("whitening"):
            value.fill_(torch.nan)
    torch.save(checkpoint, folder.parent / "broken.ckpt")
    assert predicted(f"checkpoint={folder.parent / 'broken.ckpt'}", "threshold=1") == []
    (reason,) = {row["reason"] for row in rows(folder.parent / "out" / "skipped.csv")}
    assert reason == "its score is nan: the model or its weights are broken"
    assert len(predicted()) == 5  # nothing had been kept that these could be mixed with


def test_a_second_run_does_what_is_new_or_has_changed(
    predicted: Callable[..., list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, overlays = folder.parent / "out" / "predictions.jsonl", folder.parent / "out" / "overlays"
    first = predicted()
    before = {line for line in lines.read_text().splitlines() if "a/x.png" not in line}
    drawn = {path: path.stat().st_mtime_ns for path in overlays.rglob("*.jpg")}
    capsys.readouterr()
    assert predicted() == first
    assert "images  5, 5 of them before" in capsys.readouterr().out
    (folder / "broken.png").write_bytes(b"")
    save(plate(9, (40, 61), [9, 9, 8, 8]), folder / "a" / "x.png")
    save(plate(9, (40, 61)), folder / "new.png")
    (folder / "x.png").unlink()
    with lines.open("a") as file:
        file.write('{"path": "/half/a/li')  # what a power cut leaves
    assert predicted() == ["b/c/x.png", "b/c/y.png", "x.bmp", "x.png", "a/x.png", "new.png"]
    assert "images  6, 4 of them before" in capsys.readouterr().out
    assert before < set(lines.read_text().splitlines())
    assert all(json.loads(line) for line in lines.read_text().splitlines())
    redrawn = {path.relative_to(overlays).as_posix() for path, time in drawn.items() if path.stat().st_mtime_ns != time}
    assert redrawn == {"a/x.png.jpg"}
    save(plate(9, (40, 61)), folder / "broken.png")  # tried again
    assert len(predicted()) == 7
    assert rows(folder.parent / "out" / "skipped.csv") == []


@pytest.mark.slow
def test_predictions_of_another_kind_are_not_mixed(predicted: Callable[..., list[str]], folder: Path) -> None:
    predicted()
    before = (folder.parent / "out" / "predictions.jsonl").read_bytes()
    for options, said in (
        (["maps=npy"], "maps was none and is npy"),
        (["execution.bfloat16=true"], "bfloat16 was None and is True"),
        (["threshold=3"], r"threshold was .* and is 3"),
        ([f"input={folder / 'a'}"], r"root was .*images and is .*images/a"),
        (["alpha=0.5"], "threshold was .* and is .*"),
    ):
        with pytest.raises(ValueError, match=rf"out holds other predictions: {said}; give another output_dir"):
            predicted(*options)
    assert (folder.parent / "out" / "predictions.jsonl").read_bytes() == before
    predicted("batch_size=3", "contact_sheet=false")  # which change nothing


def test_what_is_written_into_the_folder_of_the_images_is_not_predicted(
    predicted: Callable[..., list[str]], folder: Path
) -> None:
    for _ in range(2):
        assert len(predicted("maps=tiff", to=folder.name)) == 5


def test_batches_and_workers_change_nothing(predicted: Callable[..., list[str]], folder: Path) -> None:
    scores = []
    for name, options in {"one": ["batch_size=1"], "three": ["batch_size=3", "num_workers=1"]}.items():
        predicted(*options, to=name)
        scores.append([float(row["score"]) for row in rows(folder.parent / name / "predictions.csv")])
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_any_number_of_cores_draws_the_same(
    predicted: Callable[..., list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all images come onto the contact sheet, too."""
    for module in ("padim.commands.predict", "padim.predict.pictures", "padim.predict.sheet"):
        monkeypatch.setattr(f"{module}.PAGE", 2)
    for module in ("padim.commands.predict", "padim.predict.sheet"):
        monkeypatch.setattr(f"{module}.PAGES", 1)
    drawn = []
    for cores in (1, 3):
        monkeypatch.setattr("padim.predict.pictures.cores", lambda cores=cores: cores)
        predicted("maps=npy", to=str(cores))
        out = folder.parent / str(cores)
        files = [path for name in ("overlays", "maps", "contact_sheet") for path in (out / name).rglob("*.*")]
        drawn.append({path.relative_to(out): path.read_bytes() for path in files})
    assert len(drawn[0]) == 5 + 5 + 1
    assert drawn[0] == drawn[1]


def test_half_precision_changes_digits_alone(predicted: Callable[..., list[str]], folder: Path) -> None:
    scores = {}
    for answer in ("false", "true"):
        predicted(f"execution.bfloat16={answer}", "overlays=false", "contact_sheet=false", to=answer)
        scores[answer] = [float(row["score"]) for row in rows(folder.parent / answer / "predictions.csv")]
    assert scores["true"] != scores["false"]
    assert scores["true"] == pytest.approx(scores["false"], rel=0.05)


@pytest.fixture(scope="module")
def uncalibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("uncalibrated"), *VARIANTS["crop"])


def test_without_a_calibration_there_are_scores_alone(
    uncalibrated: Path, predicted: Callable[..., list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted(f"checkpoint={uncalibrated}")
    said = capsys.readouterr().out
    assert "threshold  none, so that there are neither alarms nor regions: the model is not calibrated;" in said
    assert "alarms  " not in said
    for row in rows(folder.parent / "out" / "predictions.csv"):
        assert (row["p_value"], row["alarm"], row["regions"], row["boxes"]) == ("", "", "0", "[]")
        assert float(row["score"]) > 0
    predicted(f"checkpoint={uncalibrated}", "threshold=0.9", to="again")
    assert "threshold  0.9000, as given" in capsys.readouterr().out
    table = rows(folder.parent / "again" / "predictions.csv")
    assert [row["path"] for row in table if row["alarm"] == "1"] == [str(folder / "b" / "c" / "x.png")]


@pytest.mark.slow
def test_contact_sheets(predicted: Callable[..., list[str]], folder: Path) -> None:
    """Pages of 24, the highest first."""
    sheets = folder.parent / "out" / "contact_sheet"
    predicted()
    (first,) = sheets.iterdir()
    for seed in range(30):
        save(plate(seed, (30, 30)), folder / "more" / f"{seed}.png")
    before = first.read_bytes()
    predicted("overlays=true")
    assert sorted(path.name for path in sheets.iterdir()) == ["1.jpg", "2.jpg"]
    assert first.read_bytes() != before
    with Image.open(sheets / "1.jpg") as one, Image.open(sheets / "2.jpg") as two:
        assert one.width == two.width
        assert one.height > two.height > 500


def test_sweeps_write_each_into_a_folder_of_its_own(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder.parent / "out"
    options = [f"checkpoint={model('stretch')}", f"input={folder}", "alpha=0.2,0.4", f"output_dir={out}"]
    run(monkeypatch, predict.main, "-m", *options)
    assert len(list(out.rglob("predictions.csv"))) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["checkpoint=gone.ckpt"], FileNotFoundError, "gone.ckpt"),
        (["input=gone"], FileNotFoundError, "gone is no file and no folder; give an image, a folder, a glob"),
        (["threshold=1", "alpha=0.1"], ValueError, "contradict each other; give one of them"),
        (["alpha=0.001"], ValueError, "needs 999 calibration images, found 9"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    options: list[str], error: type[Exception], message: str, predicted: Callable[..., list[str]], folder: Path
) -> None:
    with pytest.raises(error, match=message):
        predicted(*options)
    assert not (folder.parent / "out" / "predictions.jsonl").exists()


def test_pictures_of_odd_shapes(predicted: Callable[..., list[str]], folder: Path) -> None:
    """Small ones are enlarged, large ones reduced; a name that is no Unicode, or too long, does no harm."""
    shapes = {"tall.png": (900, 7), "wide.png": (3, 2000), "dot.png": (1, 1), "large.jpg": (1500, 1300)}
    for name, size in shapes.items():
        save(plate(0, size), folder / name)
    shutil.copy(folder / "x.png", folder / os.fsdecode(b"\xff" + b"long" * 50 + b".png"))
    predicted()
    sizes = {}
    for name in shapes:
        with Image.open(folder.parent / "out" / "overlays" / f"{name}.jpg") as picture:
            sizes[name] = picture.size
    frame, strip = (
        104,
        48,
    )  # above and below; around the level maps, which are 130 pixels high or as wide as there is room
    assert sizes == {
        "tall.png": (512, 900 + frame + strip + 130),
        "wide.png": (1024, 2 + frame + strip + 1),
        "dot.png": (512, 512 + frame + strip + 130),
        "large.jpg": (887, 1024 + frame + strip + 130),
    }
