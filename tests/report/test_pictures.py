"""The pictures are there, of a sane size, and say what they show."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from padim.report.curves import mean_curve, read_all
from padim.report.pictures import draw_dimensions_of, draw_section
from padim.report.plots import COLOURS
from padim.report.results import Result
from padim.report.runs import find_runs
from padim.report.sections import Picture, sections_of
from tests.report.tree import ablate, train

PERCENT = (99.0, 98.0, 94.0)


def results(root: Path) -> list[Result]:
    return find_runs([root / "runs"]).results


def drawn(root: Path) -> dict[str, str]:
    """Captions by the name of the file."""
    found = results(root)
    curves, unreadable = read_all(found)
    assert not unreadable
    pictures = [*draw_dimensions_of(found, root)]
    for section in sections_of(found):
        pictures += draw_section(section, curves, root)
    assert sorted(picture.name for picture in pictures) == sorted(path.name for path in root.glob("*.png"))
    return {picture.name: picture.caption for picture in pictures}


def dims(*values: int, reduction: str = "random", **others: Any) -> list[dict[str, Any]]:
    head = {"reduction": reduction, "percent": PERCENT} | others
    return [head | {"name": f"{reduction}{dim}", "dim": dim} for dim in values]


@pytest.mark.slow
def test_sizes(tmp_path: Path) -> None:
    heads = [*dims(50, 100, 200), *dims(100, 200, reduction="pca"), {"name": "none", "percent": PERCENT}]
    for name in ("bottle", "wood"):
        ablate(tmp_path / "runs" / name, heads, category=name)
    captions = drawn(tmp_path)
    assert set(captions) == {
        *("dimension_1.png", "table_1_classes.png", "table_1_curves.png", "table_2_classes.png", "table_2_curves.png"),
        *("table_3_classes.png", "table_3_curves.png", "found_mvtec_classes.png", "found_mvtec_curves.png"),
    }
    for name in captions:
        with Image.open(tmp_path / name) as picture:
            assert 400 <= picture.width <= 1700
            assert 300 <= picture.height <= 1200
            assert len(picture.convert("L").getcolors()) > 20  # something is drawn


@pytest.mark.slow
def test_the_dimension_is_shown_over_the_classes_of_every_point(tmp_path: Path) -> None:
    ablate(tmp_path / "runs/a", dims(50, 100), category="bottle")
    ablate(tmp_path / "runs/b", dims(50), category="wood")
    captions = drawn(tmp_path)
    start = "mvtec, resnet18 (tv_in1k), l123, covariance sample, pool 1, eps 0.01, 224x224"
    assert captions["dimension_1.png"] == f"{start}: averaged over bottle."


def test_one_dimension_is_no_line(tmp_path: Path) -> None:
    ablate(tmp_path / "runs/a", [*dims(100), *dims(200, reduction="pca"), *dims(200, covariance="oas")])
    assert "dimension_1.png" not in drawn(tmp_path)


def test_many_models_are_cut_to_the_best(tmp_path: Path) -> None:
    heads = [{**head, "percent": (99, 90 + number / 10, 80)} for number, head in enumerate(dims(*range(10, 22)))]
    ablate(tmp_path / "runs/a", heads)
    captions = drawn(tmp_path)
    chosen = f"; the {len(COLOURS)} of 12 with the highest pixel AUROC on bottle."
    assert captions["found_mvtec_classes.png"].endswith(chosen)
    assert captions["found_mvtec_curves.png"] == f"Curves averaged over seeds and over bottle{chosen}"


def test_models_without_curves_are_named(tmp_path: Path) -> None:
    train(tmp_path / "runs/a", PERCENT, dim=100, curves=False)
    train(tmp_path / "runs/b", PERCENT, dim=200)
    caption = "Curves averaged over seeds and over bottle. Without curves: Rd 100."
    assert drawn(tmp_path)["table_2_curves.png"] == caption


def test_no_curves_no_picture(tmp_path: Path) -> None:
    train(tmp_path / "runs/a", PERCENT, curves=False)
    assert set(drawn(tmp_path)) == {"table_2_classes.png", "table_3_classes.png"}


def test_results_without_pixels_show_the_images_alone(tmp_path: Path) -> None:
    for category in ("one", "two"):
        train(tmp_path / "runs" / category, (99, None, None), dataset="folder", dataset__root=f"/images/{category}")
    assert set(drawn(tmp_path)) == {"found_folder_classes.png", "found_folder_curves.png"}


def test_curves_are_averaged_over_seeds_then_classes(tmp_path: Path) -> None:
    """At 0.25 the curves of areas 50, 80 and 66.7 % are 0.25, 0.25^(1/4) and 0.5."""
    train(tmp_path / "runs/a", (99, 50, 90), seed=0)
    train(tmp_path / "runs/b", (99, 80, 90), seed=1)
    train(tmp_path / "runs/c", (99, 200 / 3, 90), category="wood")
    found = results(tmp_path)
    files, _ = read_all(found)
    curve = mean_curve(found, files, "pixel_roc", ["bottle", "wood"])
    assert len(curve) == 201
    assert curve[0.25] == pytest.approx(((0.25 + 0.25**0.25) / 2 + 0.5) / 2)
    assert mean_curve(found, files, "pixel_roc", ["bottle", "tile"]) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the columns are none; they should be head, curve, fpr, tpr"),
        ("head,curve,fpr\n", "the columns are head, curve, fpr; they should be head, curve, fpr, tpr"),
        ("head,curve,fpr,tpr\npadim,pro,0.0,0.0\npadim,pro,0.0", "line 3 is cut short"),
        ("head,curve,fpr,tpr\npadim,pro,0.0,?\n", "could not convert string to float: '?'"),
    ],
)
def test_a_half_written_file_of_curves_is_named(content: str, reason: str, tmp_path: Path) -> None:
    train(tmp_path / "runs/a", PERCENT)
    (tmp_path / "runs/a/curves.csv").write_text(content)
    assert read_all(results(tmp_path)) == ({}, [f"`runs/a`: curves.csv: {reason}"])


def test_a_picture_is_the_same_again(tmp_path: Path) -> None:
    train(tmp_path / "runs/a", PERCENT)
    contents = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        found = results(tmp_path)
        pictures: list[Picture] = draw_section(sections_of(found)[0], read_all(found)[0], folder)
        contents.append([(folder / picture.name).read_bytes() for picture in pictures])
    assert len(contents[0]) == 2
    assert contents[0] == contents[1]
