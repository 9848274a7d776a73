"""The charts of a page: curves, scores, distances."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from padim.evaluation import RATES
from padim.run_page.axes import Axis, Chart, Point
from padim.run_page.distances import CHI_SQUARED, PROBABILITIES, Reading

LIMIT = 0.3
"""False positive rate up to which PRO is integrated."""
CURVES = {
    "image_roc": ("ROC of images", "detected images"),
    "pixel_roc": ("ROC of pixels", "detected pixels"),
    "pro": ("PRO: overlap of regions", "mean detected share of a region"),
}
BINS = 40
"""At most."""


def curve_charts(curves: Mapping[str, Sequence[float]]) -> dict[str, Markup]:
    """The curves that were measured, by their titles."""
    return {title: _curve(title, unit, curves[key], key) for key, (title, unit) in CURVES.items() if key in curves}


def _curve(title: str, unit: str, rates: Sequence[float], key: str) -> Markup:
    of = "images" if key == "image_roc" else "pixels"
    chart = Chart(title, Axis(f"false positive rate, of normal {of}", 0, 1), Axis(unit, 0, 1))
    points = list(zip(RATES.tolist(), rates, strict=True))
    if key == "pro":
        counted = [point for point in points if point[0] <= LIMIT]
        chart.area([(0.0, 0.0), *counted, (LIMIT, 0.0)], "curve")
        chart.upright(LIMIT, f"counted up to {LIMIT:g}")
    else:
        chart.area([(0.0, 0.0), *points, (1.0, 0.0)], "curve")
        chart.line([(0, 0), (1, 1)], "chance")
    chart.line([(0.0, 0.0), *points], "curve")
    return chart.svg


def score_chart(groups: Mapping[str, Sequence[float]], threshold: float | None) -> Markup | None:
    """Histograms of the finite scores of some groups, each of its own total; None where there are none.

    Args:
        groups: scores by ``normal``, ``anomalous`` and ``calibration``.
    """
    finite = {name: [score for score in scores if math.isfinite(score)] for name, scores in groups.items()}
    finite = {name: scores for name, scores in finite.items() if scores}
    if not finite:
        return None
    every = [*(score for scores in finite.values() for score in scores), *([] if threshold is None else [threshold])]
    low, high = min(every), max(every)
    margin = 0.02 * (high - low) or max(abs(high), 1.0) * 0.02
    bins = min(BINS, round(2 * len(every) ** 0.5) + 4)
    edges = np.linspace(low - margin, high + margin, bins + 1)
    shares = {name: 100 * np.histogram(scores, edges)[0] / len(scores) for name, scores in finite.items()}
    top = 1.05 * max(float(share.max()) for share in shares.values())
    chart = Chart("scores of the images", Axis("score", edges[0], edges[-1]), Axis("% of the images", 0, top))
    for name, share in shares.items():
        outline = _steps(edges.tolist(), share.tolist())
        if name != "calibration":
            chart.area(outline, name)
        chart.line(outline, name)
    if threshold is not None:
        chart.upright(threshold, f"threshold {threshold:.4g}")
    return chart.svg


def _steps(edges: Sequence[float], heights: Sequence[float]) -> list[Point]:
    """The outline of bars."""
    corners = [
        (edge, height)
        for left, right, height in zip(edges, edges[1:], heights, strict=False)
        for edge, height in ((left, height), (right, height))
    ]
    return [(edges[0], 0.0), *corners, (edges[-1], 0.0)]


def distance_chart(reading: Reading) -> Markup:
    """Quantiles of squared distances over those of the chi-squared law, which is the diagonal."""
    reference = reading.quantiles[CHI_SQUARED].tolist()
    every = np.concatenate(list(reading.quantiles.values()))
    low = max(float(every.min()), reference[0] / 1000)  # the distance of pixels that never change is 0
    chart = Chart(
        "quantiles of the squared distances over those of the chi-squared law",
        Axis(
            f"M² by the chi-squared law, {reading.channels} degrees of freedom", reference[0], reference[-1], log=True
        ),
        Axis("M²", low, float(every.max()), log=True),
    )
    for law, values in reading.quantiles.items():
        chart.line(zip(reference, values.tolist(), strict=True), law)
    for quantile in (0.05, 0.5, 0.95):
        chart.upright(reference[int(np.abs(PROBABILITIES - quantile).argmin())], f"{quantile:.0%}")
    return chart.svg
