"""A defect painted at a known place of a photo is found there, in the photo's own pixels."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from padim.commands import evaluate, predict
from padim.predict.placement import Box
from tests.commands.test_run import rows, run
from tests.predict.photos import SIZE, VARIANTS, plate, save

Model = Callable[[str], Path]
BIG = (293, 457)  # three times the size of the plates that were fitted, and a bit
DEFECT: Box = [300, 110, 37, 29]
ROTATED = 6  # of the EXIF orientations: shown a quarter turn clockwise from how it is stored


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """By the names of their files."""
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return {Path(record["path"]).name: record for record in map(json.loads, lines)}


def holds(outer: Box, inner: Box) -> bool:
    ends = [(box[0] + box[2], box[1] + box[3]) for box in (outer, inner)]
    return outer[0] <= inner[0] and outer[1] <= inner[1] and ends[0][0] >= ends[1][0] and ends[0][1] >= ends[1][1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    save(plate(100, BIG, DEFECT), folder / "defect.png")
    save(plate(101, BIG), folder / "fine.png")
    save(plate(102), folder / "as_fitted.png")
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    stored = plate(100, BIG, DEFECT).transpose(Image.Transpose.ROTATE_90)  # which the viewer turns back
    stored.save(folder / "turned.png", exif=exif)
    return folder


@pytest.fixture(scope="module", params=VARIANTS)
def predicted(request: pytest.FixtureRequest, model: Model, photos: Path, tmp_path_factory: Any) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("predicted")
    with pytest.MonkeyPatch.context() as monkeypatch:
        options = [f"checkpoint={model(request.param)}", f"input={photos}", f"output_dir={folder}", "maps=npy"]
        run(monkeypatch, predict.main, *options)
    return folder


def test_the_defect_lies_in_the_box(predicted: Path) -> None:
    found = records(predicted)
    for name in ("defect.png", "turned.png"):
        record = found[name]
        highest = record["regions"][0]
        assert (record["width"], record["height"]) == BIG[::-1]
        assert record["alarm"]
        assert holds(highest["box"], DEFECT)
        assert highest["box"][2] * highest["box"][3] < 0.35 * BIG[0] * BIG[1]
        assert holds(highest["box"], [*record["peak"], 1, 1])
        assert highest["peak"] == record["peak"]
        assert DEFECT[2] * DEFECT[3] < highest["area"] <= highest["box"][2] * highest["box"][3]
        for region in record["regions"]:
            assert holds(record["window"], region["box"])
    assert found["turned.png"]["score"] == pytest.approx(found["defect.png"]["score"], rel=1e-5)
    assert found["defect.png"]["score"] > 1.5 * found["fine.png"]["score"]


def test_an_image_alarms_exactly_when_it_has_a_region(predicted: Path) -> None:
    threshold = json.loads((predicted / "made_with.json").read_text())["threshold"]
    for record in records(predicted).values():
        assert record["alarm"] == bool(record["regions"]) == (record["score"] > threshold)
        assert all(threshold < region["score"] <= record["score"] for region in record["regions"])


def test_the_map_is_the_images_and_says_where_the_model_does_not_see(predicted: Path) -> None:
    for name, record in records(predicted).items():
        whole = np.load(predicted / "maps" / f"{name}.npy")
        assert (whole.dtype, whole.shape) == (np.float32, (record["height"], record["width"]))
        left, top, width, height = record["window"]
        inside = np.isfinite(whole)
        assert inside[top + 1 : top + height - 1, left + 1 : left + width - 1].all()
        assert not inside[:top].any()
        assert not inside[top + height :].any()
        assert not inside[:, :left].any()
        assert not inside[:, left + width :].any()
        assert np.nanmax(whole) == pytest.approx(record["score"], rel=0.15)
        if len({*BIG, record["width"]}) == 2:  # enlarged: the maximum keeps its place
            row, column = np.unravel_index(np.nanargmax(whole), whole.shape)
            assert np.hypot(row - record["peak"][1], column - record["peak"][0]) < 8


def test_only_a_crop_hides_something(predicted: Path, request: pytest.FixtureRequest) -> None:
    cropped = "crop" in request.node.callspec.params["predicted"]
    for name, record in records(predicted).items():
        assert (record["window"] != [0, 0, record["width"], record["height"]]) == cropped
        with Image.open(predicted / "overlays" / f"{name}.jpg") as picture:
            assert picture.width == 512
            hatch = np.asarray(picture.convert("RGB"), float)[80:100, 3:40].std()
        assert not cropped or hatch > 10


def test_the_table_and_the_lines_agree(predicted: Path) -> None:
    table = rows(predicted / "predictions.csv")
    lines = list(records(predicted).values())
    assert list(table[0])[:5] == ["path", "score", "p_value", "alarm", "level"]
    for row, record in zip(table, lines, strict=True):
        assert (row["path"], float(row["score"])) == (record["path"], record["score"])
        assert (int(row["alarm"]), float(row["p_value"])) == (record["alarm"], record["p_value"])
        assert json.loads(row["boxes"]) == [region["box"] for region in record["regions"]]
        assert json.loads(row["areas"]) == [region["area"] for region in record["regions"]]
        assert [int(row["peak_x"]), int(row["peak_y"])] == record["peak"]
        assert int(row["regions"]) == len(record["regions"])
        shares = {name: float(row[f"share {name}"]) for name in record["shares"]}
        assert shares == record["shares"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert record["level"] == row["level"] == max(shares, key=shares.__getitem__)
        assert 0 < record["p_value"] <= 1


def test_scores_are_those_of_padim_evaluate(
    predicted: Path, model: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    """Padding counts nowhere here either."""
    variant = request.node.callspec.params["predicted"]
    manifest = tmp_path / "list.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["path", "split", "kind"], [save(plate(0), tmp_path / "other.png"), "train", "good"]])
        writer.writerows([[path, "test", "bad"] for path in sorted(photos.iterdir())])
    options = [f"checkpoint={model(variant)}", f"output_dir={tmp_path}", f"dataset.manifest={manifest}"]
    run(monkeypatch, evaluate.main, *options)
    expected = {Path(row["path"]).name: float(row["score"]) for row in rows(tmp_path / "predictions.csv")}
    for name, record in records(predicted).items():
        assert record["score"] == pytest.approx(expected[name], rel=1e-5)


def test_a_plate_as_those_that_were_fitted_is_normal(predicted: Path) -> None:
    record = records(predicted)["as_fitted.png"]
    assert (record["height"], record["width"]) == SIZE
    assert record["p_value"] > 0.05
