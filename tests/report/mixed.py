"""The runs of the golden report: finished, failed and missing ones of both commands."""

from pathlib import Path
from typing import Any

from padim.report.paper import read_paper
from tests.report.tree import SPREAD, ablate, start, train, written_at

CLASSES = {"carpet": -1.0, "bottle": 1.0}
"""Of the ablation, and what they add to a metric in %."""


def heads(offset: float) -> list[dict[str, Any]]:
    """Layers, reductions and covariances, two seeds of what is random."""
    rows = [
        {"name": f"l{layer}_none", "layers": f"l{layer}", "percent": _percent(90 + layer + offset)}
        for layer in (1, 2, 3)
    ]
    rows.append({"name": "l123_none", "percent": _percent(96 + offset)})
    for dim in (50, 100, 200, 300):
        high = 93 + dim / 100 + offset
        for reduction, loss in (("random", 0.0), ("semi_orthogonal", -0.5)):
            if (reduction, dim) == ("random", 100):  # comes from padim-train
                continue
            for seed in (0, 1):
                value = {
                    "seed": seed,
                    "dim": dim,
                    "reduction": reduction,
                    "percent": _percent(high - loss - 0.4 * seed),
                }
                rows.append({"name": f"{reduction}_{dim}_{seed}", **value})
        rows.append({"name": f"pca_{dim}", "reduction": "pca", "dim": dim, "percent": _percent(high - 2)})
    rows.append({"name": "oas", "covariance": "oas", "percent": _percent(95 + offset)})
    rows.append({"name": "pooled", "pool": "all", "percent": _percent(88 + offset)})
    return rows


def _percent(pixel: float) -> tuple[float, float, float]:
    return pixel + 2, pixel, pixel - 4


def build(root: Path) -> list[Path]:
    """The folders to report on."""
    (table,) = (table for table in read_paper() if table.key == "table_3")
    printed = next(row.printed for row in table.rows if row.name == "PaDiM-R18-Rd100")
    for name in table.classes:  # the paper's values, three seeds
        for seed, more in enumerate(SPREAD):
            pixel, pro = printed[name]
            folder = root / f"tables/r18/dataset.category={name},seed={seed}"
            train(folder, (90 + more, pixel + more, pro + more), category=name, seed=seed)
    wide = {"backbone": "wide_resnet50_2", "dim": 550}
    for seed in (0, 1):  # one class only, from a file
        values = (99.8, 98.3 + 0.2 * seed, 95.0 - 0.2 * seed)
        train(root / f"tables/wr50/seed={seed}", values, seed=seed, weights="/elsewhere/wr50.pth", **wide)
    start(root / "tables/wr50/screw", category="screw", **wide)
    half = train(root / "tables/wr50/cable", (90, 90, 90), category="cable", **wide)
    (half / "metrics.json").write_text('{"image_auroc": 0.9')
    for name, offset in CLASSES.items():
        ablate(root / "ablation" / name, heads(offset), category=name)
    start(root / "ablation/zipper", "ablate", category="zipper")
    demo: dict[str, Any] = {"dataset": "synthetic", "weights": "random", "curves": False}
    for name, value in (("board", 89.9), ("gear", 86.5)):
        train(root / "demo" / name, (value, 96.8, None), category=name, **demo)
    written_at(train(root / "demo/board_old", (10, 10, 10), category="board", **demo), 1)
    (start(root / "demo/again", "evaluate") / "metrics.json").write_text("{}")
    return [root / name for name in ("tables", "ablation", "demo")]
