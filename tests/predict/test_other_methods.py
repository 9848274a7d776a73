"""Predictions of methods whose score is not the highest value of a map, or whose map says nothing of places."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from padim.commands import predict
from padim.predict.overlay import LINE, MARGIN
from tests.baselines.runs import trained
from tests.commands.test_run import rows, run
from tests.drawn import draw

Predicted = Callable[..., tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    draw(root, "board", train=3, test_good=1)
    return root


@pytest.fixture(scope="module")
def checkpoint(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Of a model that is not calibrated, by the method."""

    @cache
    def of(method: str) -> Path:
        folder = tmp_path_factory.mktemp(method)
        with pytest.MonkeyPatch.context() as monkeypatch:
            trained(method, board, folder, monkeypatch)
        return folder / "padim.ckpt"

    return of


@pytest.fixture
def predicted(
    board: Path, checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Predicted:
    """Predict one image, with a part missing; gives the folder and the record."""

    def one(method: str, threshold: float | None) -> tuple[Path, dict[str, Any]]:
        (image,) = board.glob("*/board/test/missing_part/*.png")
        given = [f"checkpoint={checkpoint(method)}", f"input={image}", f"output_dir={tmp_path}", "maps=npy"]
        run(monkeypatch, predict.main, *given, f"threshold={'null' if threshold is None else threshold}")
        return tmp_path, json.loads((tmp_path / "predictions.jsonl").read_text())

    return one


@pytest.mark.parametrize("threshold", [1e-6, None])
def test_a_threshold_of_scores_is_none_of_maps(threshold: float | None, predicted: Predicted) -> None:
    """SPADE's maps are far above its scores: whole images had the brightest colour, and "0 regions" beside an alarm."""
    out, record = predicted("spade", threshold)
    assert (record["alarm"], record["regions"]) == (None if threshold is None else True, None)
    (row,) = rows(out / "predictions.csv")
    assert (row["regions"], row["boxes"], row["areas"]) == ("", "", "")
    assert [int(row["peak_x"]), int(row["peak_y"])] == record["peak"]
    with Image.open(record["path"]) as image, Image.open(out / "overlays" / "000.png.jpg") as overlay:
        top, side = 2 * LINE + 2 * MARGIN, overlay.width
        drawn = overlay.crop((0, top, side, top + side)).resize(image.size)
        change = np.abs(np.asarray(drawn).astype(int) - np.asarray(image.convert("RGB"))).mean(2)
    share = (whole := np.load(out / "maps" / "000.png.npy")) / np.nanmax(whole)
    assert change[share < 0.15].mean() < 10  # nothing hides what is far below the highest value
    assert change[share > 0.9].mean() > 50


def test_a_method_that_does_not_localise_draws_no_maps(
    predicted: Predicted, capsys: pytest.CaptureFixture[str]
) -> None:
    """DN2's map is its score everywhere: it was drawn over the image, and had its peak in the first corner."""
    out, record = predicted("dn2", 1e-6)
    assert (record["alarm"], record["peak"], record["regions"]) == (True, None, None)
    (row,) = rows(out / "predictions.csv")
    assert (row["regions"], row["peak_x"], row["peak_y"]) == ("", "", "")
    assert capsys.readouterr().out.count("no overlays and no maps: this method scores whole images alone") == 1
    assert not (out / "overlays").exists()
    assert not (out / "maps").exists()
    with Image.open(out / "contact_sheet" / "1.jpg") as sheet:  # the image itself, on a row of its own
        thumbnail = sheet.crop((MARGIN, 64, MARGIN + 280, 64 + 280))
    with Image.open(record["path"]) as image:
        left, top, width, height = record["window"]
        seen = np.s_[top + 4 : top + height - 4, left + 4 : left + width - 4]
        plain = np.asarray(image.convert("RGB")).astype(int)[seen]
    assert np.abs(np.asarray(thumbnail.resize(image.size))[seen] - plain).mean() < 10
