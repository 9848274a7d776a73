"""paper.yaml against itself and against the experiments of conf/."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from padim.commands import CONF
from padim.report.cell import Cell, cell_of
from padim.report.paper import ALL, PaperRow, PaperTable, read_paper

TABLES = {table.key: table for table in read_paper()}
ROWS = [pytest.param(table, row, id=f"{table.key} {row.name}") for table in TABLES.values() for row in table.rows]

# The paper's inconsistencies in its tables: printed, what the parts give.
KNOWN = {
    ("table_1", "Layer 3", ALL, "pixel_auroc"): (95.7, 96.3),
    ("table_2", "Rd 100", ALL, "pro"): (90.5, 90.0),
    ("table_3", "SPADE", ALL, "pixel_auroc"): (96.5, 96.0),
    ("table_3", "PaDiM-WR50-Rd550", "all textures", "pro"): (93.2, 93.1),
    ("table_5", "MahalanobisAD", ALL, "image_auroc"): (95.8, 95.6),
    ("table_5", "PaDiM-EfficientNet-B5", ALL, "image_auroc"): (97.9, 97.8),
    ("table_6", "SPADE", ALL, "pixel_auroc"): (87.2, 87.0),
}


def parts(table: PaperTable, row: PaperRow, scope: str, index: int) -> float | None:
    """The mean of the classes, where they are printed, else of the groups."""
    groups = table.groups if scope == ALL else {scope: table.groups[scope]}
    values = []
    for group, classes in groups.items():
        names = classes if classes[0] in row.printed else [group] * len(classes)
        if names[0] == scope or names[0] not in row.printed:
            return None
        values += [row.printed[name][index] for name in names]
    return None if None in values else fmean(values)


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_means_are_those_of_their_parts_save_the_known(table: PaperTable, row: PaperRow) -> None:
    for scope in (*table.groups, ALL):
        for index, (metric, printed) in enumerate(zip(table.metrics, row.printed.get(scope, ()), strict=False)):
            given, known = parts(table, row, scope, index), KNOWN.get((table.key, row.name, scope, metric))
            if known:
                assert (printed, row.parts_give[scope][index]) == known
                assert given == pytest.approx(known[1], abs=0.05)
            elif given is not None and printed is not None:
                digit = 1.0 if isinstance(printed, int) else 0.1  # half for the mean, as much for its parts
                assert given == pytest.approx(printed, abs=digit + 1e-9)


def test_every_contradiction_is_known() -> None:
    noted = {
        (table.key, row.name, scope, metric): (row.printed[scope][index], value)
        for table in TABLES.values()
        for row in table.rows
        for scope, values in row.parts_give.items()
        for index, (metric, value) in enumerate(zip(table.metrics, values, strict=True))
        if value is not None
    }
    assert noted == KNOWN


def test_table_three_has_every_class_of_both_models() -> None:
    table = TABLES["table_3"]
    assert [len(classes) for classes in table.groups.values()] == [5, 10]
    for row in table.rows[-2:]:
        assert set(row.printed) == {*table.classes, *table.groups, ALL}


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_rows_speak_of_whole_cells(table: PaperTable, row: PaperRow) -> None:
    assert all(len(values) == len(table.metrics) for values in row.printed.values())
    if row.match:
        fields = set(Cell.__annotations__) - {"dataset", "method"}
        assert row.match.keys() == fields or (
            "method" in row.match and {"image_size", "settings"} <= row.protocol.keys()
        )
        assert not row.match.keys() & row.protocol.keys()
        cell = replace(ANY, dataset=table.dataset, **row.match)
        assert row.cells([cell])
        assert not row.cells([replace(cell, method="another")])


ANY = Cell("", "", "", "", "", None, "", "", None, "", "")
EXPERIMENTS = {
    "padim_r18": [("table_1", "PaDiM-R18"), ("table_2", "all (448)")],
    "padim_r18_rd100": [("table_2", "Rd 100"), ("table_3", "PaDiM-R18-Rd100")],
    "padim_wr50_rd550": [("table_3", "PaDiM-WR50-Rd550"), ("table_5", "PaDiM-WR50-Rd550")],
    "padim_b5": [("table_5", "PaDiM-EfficientNet-B5")],
}


AE_VIEWS = ["augmentation.repeats=48", "augmentation.angle=10", "augmentation.shift=16"]
PROTOCOLS = {  # with what the headers in conf/ say that the authors did
    "AE-SSIM": ["method=ae_ssim", "dataset.image_size=[256,256]", *AE_VIEWS],
    "AE-L2": ["method=ae_l2", "dataset.image_size=[256,256]", *AE_VIEWS],
    "VAE": ["preset=vae_r18", "augmentation=vae"],
    "Patch SVDD": ["method=patch_svdd", "dataset.image_size=[256,256]"],
    "SPADE": ["preset=spade_wr50"],
    "MahalanobisAD": ["preset=mahalanobis_ad_b4"],
    "GANomaly": ["method=ganomaly"],
}


def composed(*overrides: str) -> Cell:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    return cell_of(OmegaConf.to_container(config), dict(config.hydra.runtime.choices))


@pytest.mark.parametrize(("table", "row"), [param for param in ROWS if param.values[1].protocol])
def test_the_protocols_of_other_methods_are_those_of_conf(table: PaperTable, row: PaperRow) -> None:
    alone = ["model.neighbours=1"] if (table.key, row.name) == ("table_4", "SPADE") else []
    cell = composed(f"dataset={table.dataset}", "backbone.weights=imagenet", *PROTOCOLS[row.name], *alone)
    assert row.cells([cell]) == [cell]
    assert row.other_settings(cell) == ""
    assert row.other_settings(replace(cell, weights="own.pth")) == ""


def test_a_short_schedule_is_not_the_papers() -> None:
    (row,) = (row for row in TABLES["table_3"].rows if row.name == "VAE")
    assert row.other_settings(composed("dataset=mvtec", "backbone.weights=imagenet", "preset=vae_short")) == (
        "ours l3 128x128 dataset.resize=[146,146] kl_weight=0.1 sigma=2.0 learning_rate=0.001 epochs=8 batch_size=8, "
        "the paper's l4 256x256 dataset.resize=[292,292] augmentation.repeats=48 augmentation.angle=2.0 "
        "augmentation.shift=5 kl_weight=1.0 sigma=4.0 learning_rate=0.0001 epochs=100 batch_size=32"
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_experiments_of_the_paper_are_rows_of_its_tables(experiment: str) -> None:
    assert Path(CONF, "experiment", f"{experiment}.yaml").is_file()
    cell = composed(f"experiment={experiment}")
    tables = [table for table in TABLES.values() if table.dataset == cell.dataset]
    assert [(table.key, row.name) for table in tables for row in table.rows if row.cells([cell])] == EXPERIMENTS[
        experiment
    ]


def test_random_weights_and_other_trainings_are_not_the_papers() -> None:
    (row,) = (row for row in TABLES["table_1"].rows if row.name == "PaDiM-R18")
    cells = [
        Cell(dataset="mvtec", **(row.match | {"weights": weights}))
        for weights in ("random", "a1_in1k", "tv_in1k", "trunk.safetensors")
    ]
    assert [cell.weights for cell in row.cells(cells)] == ["tv_in1k", "trunk.safetensors"]
