"""Charts: what is drawn lies where its numbers say."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from padim.evaluation import RATES
from padim.run_page.axes import BOTTOM, LEFT, RIGHT, TOP, Axis, Chart
from padim.run_page.charts import curve_charts, score_chart


def points(svg: str, kind: str) -> np.ndarray:
    """Where a line runs, in parts of the axes."""
    root = ElementTree.fromstring(svg)
    (line,) = (one for one in root.iter("polyline") if one.get("class") == f"line {kind}")
    places = np.array([pair.split(",") for pair in str(line.get("points")).split()], float)
    return (places - [LEFT, BOTTOM]) / [RIGHT - LEFT, TOP - BOTTOM]


@pytest.mark.parametrize(
    ("axis", "value", "part"),
    [
        (Axis("", 0, 10), 2.5, 0.25),
        (Axis("", 1, 100, log=True), 10, 0.5),
        (Axis("", 0, 10), 11, 1),
        (Axis("", 1, 100, log=True), 0, 0),
    ],
)
def test_a_value_lies_at_its_part_of_the_axis(axis: Axis, value: float, part: float) -> None:
    assert axis.part(value) == pytest.approx(part)


@pytest.mark.parametrize("axis", [Axis("", 3, 17.2), Axis("", 61, 149, True), Axis("", 0.4, 3000, True)])
def test_there_are_some_round_ticks(axis: Axis) -> None:
    assert 3 <= len(axis.ticks) <= 14
    assert all(axis.low <= tick <= axis.high and len(f"{tick:g}") <= 4 for tick in axis.ticks)


def test_what_is_written_in_a_chart_is_text() -> None:
    chart = Chart("<a> & b", Axis("<i>", 0, 1), Axis('"', 0, 1))
    chart.upright(0.5, "<script>")
    texts = [one.text for one in ElementTree.fromstring(chart.svg).iter("text")]
    assert {"<i>", '"', "<script>"} <= set(texts)


def test_curves_run_through_their_points() -> None:
    rates = np.sqrt(RATES.numpy()).tolist()
    charts = curve_charts({"pro": rates, "image_roc": rates})
    assert list(charts) == ["ROC of images", "PRO: overlap of regions"]
    x, y = points(charts["ROC of images"], "curve").T
    np.testing.assert_allclose(y, np.sqrt(x), atol=0.005)
    assert "counted up to 0.3" in charts["PRO: overlap of regions"]


def test_histograms_are_of_each_group_s_own_total() -> None:
    """An image more or less of the other group changes no bar, and infinity none either."""
    groups = {"normal": [1.0, 1.02, 2.0, float("inf")], "anomalous": [3.0], "calibration": [1.5]}
    svg = score_chart(groups, threshold=9.0)
    assert svg is not None
    high = {kind: points(svg, kind)[:, 1].max() for kind in groups}
    assert high["anomalous"] == high["calibration"] == pytest.approx(1 / 1.05, abs=0.005)
    assert high["normal"] == pytest.approx(2 / 3 / 1.05, abs=0.005)
    assert re.search("threshold 9<", svg)
    assert len(re.findall("<polygon", svg)) == 2  # the calibration scores are an outline


@pytest.mark.parametrize("groups", [{}, {"normal": []}, {"normal": [float("nan")]}])
def test_without_scores_there_is_no_histogram(groups: dict[str, list[float]]) -> None:
    assert score_chart(groups, None) is None


def test_one_score_is_a_histogram() -> None:
    assert score_chart({"normal": [0.0]}, None)
