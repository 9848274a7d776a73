"""What a run leaves is there whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from padim.commands.output import write_csv, write_json


def cut_off() -> Iterator[tuple[int, float]]:
    yield 0, 0.5
    raise KeyboardInterrupt


def test_a_table_that_is_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    write_csv(["image", "score"], [(0, 0.25)], tmp_path / "table.csv")
    with pytest.raises(KeyboardInterrupt):
        write_csv(["image", "score"], cut_off(), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().split() == ["image,score", "0,0.25"]
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_metric_that_cannot_be_computed_is_null(tmp_path: Path) -> None:
    write_json({"pro": float("nan"), "image_auroc": 0.5}, tmp_path / "metrics.json")
    assert (tmp_path / "metrics.json").read_text() == '{\n  "pro": null,\n  "image_auroc": 0.5\n}\n'
