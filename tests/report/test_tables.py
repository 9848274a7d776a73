"""The tables, on made-up results whose means and deviations are computed by hand."""

from pathlib import Path

import pytest

from padim.report.found import found_sheet
from padim.report.paper import PaperTable, read_paper
from padim.report.results import Result
from padim.report.runs import find_runs
from padim.report.sections import sections_of
from padim.report.sheet import Percent, Sheet
from padim.report.tables import models_of, paper_sheet, present_sheet
from tests.report.tree import SPREAD, ablate, train

TABLES = {table.key: table for table in read_paper()}
MVTEC = TABLES["table_1"]
LAYERS = {"reduction": "none", "dim": None}


def results(root: Path) -> list[Result]:
    found = find_runs([root])
    assert not found.unreadable
    return found.results


def sheets(table: PaperTable, root: Path) -> tuple[Sheet, Sheet | None]:
    models = models_of(table, results(root))
    return paper_sheet(table, models), present_sheet(table, models)


def line(sheet: Sheet, *begin: str) -> list[str]:
    (row,) = (row for row in sheet.rows if row[: len(begin)] == list(begin))
    return [str(entry) for entry in row[len(begin) :]]


def test_textures_objects_and_all_classes(tmp_path: Path) -> None:
    """Textures 90, objects 93, hence 92 over all; 0.3 more and less with other seeds; PRO 10 less."""
    for name in MVTEC.classes:
        value = 90.0 if name in MVTEC.groups["all textures"] else 93.0
        for seed, more in enumerate(SPREAD):
            train(tmp_path / f"{name}{seed}", (99, value + more, value - 10 + more), category=name, seed=seed, **LAYERS)
    sheet, partial = sheets(MVTEC, tmp_path)
    assert partial is None
    assert line(sheet, "PaDiM-R18", "all textures") == [
        "90.0 ± 0.3",
        "96.3",
        "-6.3",
        "80.0 ± 0.3",
        "92.3",
        "-12.3",
        "3",
    ]
    assert line(sheet, "PaDiM-R18", "all objects") == ["93.0 ± 0.3", "97.5", "-4.5", "83.0 ± 0.3", "90.1", "-7.1", "3"]
    assert line(sheet, "PaDiM-R18", "all classes") == ["92.0 ± 0.3", "97.1", "-5.1", "82.0 ± 0.3", "90.8", "-8.8", "3"]
    assert line(sheet, "Layer 3", "all classes") == ["missing", "95.7 [1]", "", "missing", "88.3", "", ""]
    assert sheet.notes == [
        "[1] Layer 3, all classes, pixel AUROC: the paper prints 95.7; its own parts give 96.3.",
        "Layer 1; Layer 2; Layer 3; Layer 1+2+3 (sum): no run.",
    ]


def test_one_class_is_shown_by_itself_and_averaged_nowhere(tmp_path: Path) -> None:
    train(tmp_path / "a", (99, 98.0, 94.0))
    train(tmp_path / "b", (99, 97.0, 93.0), seed=1)
    sheet, partial = sheets(TABLES["table_3"], tmp_path)
    assert line(sheet, "PaDiM-R18-Rd100", "bottle") == ["97.5 ± 0.7", "98.1", "-0.6", "93.5 ± 0.7", "93.9", "-0.4", "2"]
    for scope in ("carpet", "all textures", "all objects", "all classes"):
        ours = line(sheet, "PaDiM-R18-Rd100", scope)
        assert (ours[0], ours[2], ours[3], ours[5], ours[6]) == ("missing", "", "missing", "", "")
    others = ", ".join(name for name in MVTEC.classes if name != "bottle")
    assert f"PaDiM-R18-Rd100: no run of {others}." in sheet.notes
    assert line(sheet, "SPADE (published)", "all classes") == ["", "96.5 [1]", "", "", "91.7", "", ""]
    assert partial is not None
    assert [row[:2] for row in partial.rows] == [["PaDiM-R18-Rd100", "bottle"]]


def test_the_classes_that_are_there_are_those_of_incomplete_rows(tmp_path: Path) -> None:
    for name in MVTEC.classes:
        train(tmp_path / name, (99, 98, 97), category=name, **LAYERS)
    heads = [{"name": f"l{layer}", "layers": f"l{layer}", "percent": (90, 90, 90)} for layer in (1, 2)]
    ablate(tmp_path / "heads", heads, category="tile")
    _, partial = sheets(MVTEC, tmp_path)
    assert partial is not None
    assert [row[:2] for row in partial.rows] == [["Layer 1", "tile"], ["Layer 2", "tile"], ["PaDiM-R18", "tile"]]


def test_a_seed_that_some_class_lacks_is_left_out_and_named(tmp_path: Path) -> None:
    for name in MVTEC.classes:
        train(tmp_path / name, (99, 90, 80), category=name, **LAYERS)
    train(tmp_path / "more", (99, 50, 50), category="wood", seed=1, **LAYERS)
    sheet, _ = sheets(MVTEC, tmp_path)
    assert line(sheet, "PaDiM-R18", "all classes")[0] == "90.0"
    assert line(sheet, "PaDiM-R18", "all objects")[-1] == "1"
    (note,) = [note for note in sheet.notes if note.endswith("seed 1 left out: some classes do not have it.")]
    assert note.startswith("PaDiM-R18, all textures, pixel AUROC; PaDiM-R18, all classes, pixel AUROC; ")


def test_a_metric_that_could_not_be_computed_is_missing(tmp_path: Path) -> None:
    for name in MVTEC.classes:
        train(tmp_path / name, (99, 90, None if name == "wood" else 80), category=name, **LAYERS)
    sheet, _ = sheets(MVTEC, tmp_path)
    assert line(sheet, "PaDiM-R18", "all textures") == ["90.0", "96.3", "-6.3", "missing", "92.3", "", "1"]
    assert line(sheet, "PaDiM-R18", "all objects")[3] == "80.0"
    assert "PaDiM-R18: no PRO of wood." in sheet.notes


def test_weights_from_files_are_named_and_not_mixed(tmp_path: Path) -> None:
    train(tmp_path / "a", (99, 98, 94), weights="imagenet")
    train(tmp_path / "b", (99, 97, 93), weights="/elsewhere/own.pth")
    train(tmp_path / "c", (99, 50, 50), weights="random")
    models = models_of(TABLES["table_2"], results(tmp_path))
    assert [model.label for model in models if model.results] == ["Rd 100 (own.pth)", "Rd 100 (tv_in1k)"]


def test_settings_that_are_not_the_papers_are_named_and_told_apart(tmp_path: Path) -> None:
    """One, five and fifty neighbours are three rows, and three lines of the pictures."""
    wide = {"method": "spade", "backbone": "wide_resnet50_2"}
    for neighbours in (1, 5, 50):
        model = {"backbone": "${backbone}", "layers": "${layers}", "image_stage": 4, "neighbours": neighbours}
        train(tmp_path / str(neighbours), (99, 98, 94), model=model, **wide)
    (section,) = (one for one in sections_of(results(tmp_path)) if one.key == "table_3")
    labels = [f"SPADE (neighbours={neighbours})" for neighbours in (1, 5, 50)]
    assert list(section.series) == labels
    for label, neighbours in zip(labels, (1, 5), strict=False):
        remark = f"other settings than the paper's: ours neighbours={neighbours}, the paper's neighbours=50."
        assert f"{label}: {remark}" in section.sheets[0].notes
    assert not any(note.startswith(f"{labels[-1]}: other") for note in section.sheets[0].notes)


def test_versions_of_rd_mvtec(tmp_path: Path) -> None:
    table = TABLES["table_6"]
    for name in table.classes:
        for version in range(3):
            options = {"dataset": "rd_mvtec", "dataset__version": version, "backbone": "wide_resnet50_2", "dim": 550}
            train(tmp_path / f"{name}{version}", (99, 90 + version, 70), category=name, **options)
    sheet, _ = sheets(table, tmp_path)
    expected = ["91.0 ± 1.0", "92.2", "-1.2", "70.0 ± 0.0", "73.1", "-3.1", "3"]
    assert line(sheet, "PaDiM-WR50-Rd550", "all classes") == expected
    assert sheet.columns[-1].title == "seeds x versions"


def test_scenes_of_stc_in_one_model(tmp_path: Path) -> None:
    options = {"dataset": "stc", "category": None, "dataset__image_size": [256, 256]}
    train(tmp_path / "run", (None, 91.0, None), **options)
    sheet, partial = sheets(TABLES["table_4"], tmp_path)
    assert line(sheet, "PaDiM-R18-Rd100", "all scenes") == ["91.0", "91.2", "-0.2", "1"]
    assert partial is None


def test_categories_of_ones_own_are_not_the_papers(tmp_path: Path) -> None:
    """dataset=mvtec reads any images in that layout."""
    train(tmp_path / "run", (99, 98, 94), category="my_part")
    sections = sections_of(results(tmp_path))
    assert [sheet.key for section in sections for sheet in section.sheets] == ["found"]


def test_everything_found(tmp_path: Path) -> None:
    for seed, more in enumerate(SPREAD):
        train(tmp_path / f"a{seed}", (99, 90 + more, 80), category="wood", seed=seed)
        train(tmp_path / f"b{seed}", (97, 92 + more, None), category="tile", seed=seed)
    train(tmp_path / "c", (95, 94, 93), weights="random", model__anomaly_map={"sigma": 2.0})
    sheet = found_sheet(results(tmp_path))
    assert [column.title for column in sheet.columns[5:]] == [
        *(
            "dim",
            "covariance",
            "pool",
            "eps",
            "size",
            "settings",
            "classes",
            "seeds",
            "image AUROC",
            "pixel AUROC",
            "PRO",
        )
    ]
    usual = ["mvtec", "padim", "resnet18 (random)", "l123", "random", 100, "sample", "1", "0.01", "224x224"]
    averages = [
        Percent(95.0, otherwise="missing"),
        Percent(94.0, otherwise="missing"),
        Percent(93.0, otherwise="missing"),
    ]
    assert sheet.rows[0] == [*usual, "anomaly_map.sigma=2.0", "1 (bottle)", 1, *averages]
    assert [str(entry) for entry in sheet.rows[1][-5:]] == ["2", "3", "98.0 ± 0.0", "91.0 ± 0.3", "missing"]
    assert sheet.notes == ["Line 2: no PRO of tile."]


def test_a_table_without_any_run_is_not_printed(tmp_path: Path) -> None:
    train(tmp_path / "run", (99, 98, 94))
    keys = [section.key for section in sections_of(results(tmp_path))]
    assert keys == ["table_2", "table_3", "found"]  # whose pictures would be those of the tables


@pytest.mark.parametrize("key", TABLES)
def test_every_table_is_there_with_its_first_run(key: str, tmp_path: Path) -> None:
    table = TABLES[key]
    row = next(row for row in table.rows if row.of_padim)
    options = {name: row.match[name] for name in ("backbone", "reduction", "dim")} | {"dataset": table.dataset}
    stages = [int(stage) for stage in row.match["layers"].removeprefix("l")]
    size = [int(side) for side in row.match["image_size"].split("x")]
    train(
        tmp_path / "run",
        (99, 98, 94),
        category=table.classes[0],
        layers__stages=stages,
        dataset__image_size=size,
        **options,
    )
    assert key in [section.key for section in sections_of(results(tmp_path))]
