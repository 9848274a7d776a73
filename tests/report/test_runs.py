"""What is found below some folders, and what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from padim.commands import CONF
from padim.commands.finished import NAME, identity
from padim.report.cell import Cell, labels
from padim.report.found import found_sheet
from padim.report.results import ReportError
from padim.report.runs import FINISHED, find_runs
from tests.report.tree import ablate, finish, start, train, written_at

R18 = Cell("mvtec", "resnet18", "tv_in1k", "l123", "random", 100, "sample", "1", 0.01, "224x224", "")
PERCENT = (99.0, 98.0, 94.0)


def test_a_run_of_padim_train(tmp_path: Path) -> None:
    train(tmp_path / "runs/one", PERCENT, category="cable", seed=3)
    found = find_runs([tmp_path])
    (result,) = found.results
    assert (result.cell, result.category, result.seed, result.version) == (R18, "cable", 3, "")
    assert result.metrics == {"image_auroc": 0.99, "pixel_auroc": 0.98, "pro": 0.94}
    assert (result.name, result.head) == (f"{tmp_path.name}/runs/one", "padim")
    assert (found.finished, found.failed, found.unreadable, found.repeated, found.foreign) == (1, [], [], [], [])


def test_a_run_of_padim_ablate(tmp_path: Path) -> None:
    heads: list[dict[str, Any]] = [
        {"name": "a", "percent": PERCENT, "layers": "sum123"},
        {"name": "b", "percent": PERCENT, "reduction": "pca", "dim": 50, "covariance": "oas", "pool": "all", "seed": 2},
    ]
    ablate(tmp_path / "run", heads, category="wood", reduction="random")  # what the configuration says does not count
    first, second = find_runs([tmp_path]).results
    common = ("mvtec", "resnet18", "tv_in1k")
    assert first.cell == Cell(*common, "l123", "pca", 50, "oas", "all", 0.01, "224x224", "")
    assert second.cell == Cell(*common, "sum123", "none", None, "sample", "1", 0.01, "224x224", "")
    assert [(one.head, one.category, one.seed) for one in (first, second)] == [("b", "wood", 2), ("a", "wood", 0)]


def test_both_commands_mean_the_same_by_a_cell(tmp_path: Path) -> None:
    train(tmp_path / "train", PERCENT)
    ablate(tmp_path / "ablate", [{"name": "a", "percent": PERCENT, "reduction": "random", "dim": 100}])
    written_at(tmp_path / "train", 1)
    found = find_runs([tmp_path])
    assert [one.head for one in found.results] == ["a"]
    assert found.repeated == [
        f"`{tmp_path.name}/ablate` (a) counts; `{tmp_path.name}/train` (padim), of the same configuration, is older and"
        " does not"
    ]


def test_the_settings_of_both_commands_are_the_same(tmp_path: Path) -> None:
    """padim-ablate has no node of one model."""
    train(tmp_path / "train", PERCENT, model__anomaly_map={"sigma": 2.0})
    head = {"name": "a", "percent": PERCENT, "reduction": "random", "dim": 100}
    ablate(tmp_path / "ablate", [head], model=None, anomaly_map__sigma=2.0)
    assert len(find_runs([tmp_path]).repeated) == 1


def test_an_early_run(tmp_path: Path) -> None:
    """Without combinations, names of covariances, pools and curves."""
    train(tmp_path / "run", PERCENT, curves=False)
    path = tmp_path / "run/.hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["layers"]["combine"], config["covariance"]["name"], config["covariance"]["pool"]
    path.write_text(yaml.safe_dump(config))
    finish(tmp_path / "run")
    assert find_runs([tmp_path]).results[0].cell == R18


@pytest.mark.parametrize(
    ("others", "field", "value"),
    [
        ({"layers__stages": [2, 3]}, "layers", "l23"),
        ({"layers__combine": "sum"}, "layers", "sum123"),
        ({"layers__stages": [2], "layers__combine": "sum"}, "layers", "l2"),
        ({"covariance__pool": 3}, "pool", "3"),
        ({"covariance__eps": "1e-3"}, "eps", 0.001),
        ({"weights": "random"}, "weights", "random"),
        ({"weights": "/some/where/trunk.safetensors"}, "weights", "trunk.safetensors"),
        ({"reduction__dim": "${reduction.name_of_dim}", "reduction__name_of_dim": 7}, "dim", 7),
        ({"dataset__image_size": [256, 192]}, "image_size", "256x192"),
        ({"model__anomaly_map": {"sigma": 2.0}}, "settings", "anomaly_map.sigma=2.0"),
        ({"dataset__image_size": None}, "image_size", "native"),
        ({"dataset__image_size": [256, 256], "dataset__resize": None}, "image_size", "256x256"),
        ({"dataset__resize": None}, "settings", "dataset.resize=[224,224]"),
        ({"dataset__per_scene": True}, "settings", "dataset.per_scene=true"),
        ({"dataset__validation": True}, "settings", "dataset.validation=true"),
        ({"dataset__folds": 5}, "settings", "dataset.folds=5"),
        ({"dataset__test_bad": "scratched"}, "settings", "dataset.test_bad=scratched"),
        ({"dataset__train_fraction": 0.5}, "settings", "dataset.train_fraction=0.5"),
        ({"augmentation__angle": 3.0}, "settings", "augmentation.angle=3.0"),
        ({"augmentation__light": 0.1}, "settings", "augmentation.light=0.1"),
        ({"augmentation__shift": 5}, "settings", "augmentation.shift=5"),
        ({"augmentation__seed": 1}, "settings", "augmentation.seed=1"),
        ({"execution__bfloat16": True}, "settings", "execution.bfloat16=true"),
        ({"trainer__limit_train_batches": 2}, "settings", "trainer.limit_train_batches=2"),
        ({"backbone__taps": ["a.1", "b.2"]}, "settings", "backbone.taps=[a.1,b.2]"),
    ],
)
def test_what_makes_another_cell(others: dict[str, Any], field: str, value: object, tmp_path: Path) -> None:
    train(tmp_path / "run", PERCENT, **others)
    (result,) = find_runs([tmp_path]).results
    assert {
        name: getattr(result.cell, name) for name in vars(R18) if getattr(result.cell, name) != getattr(R18, name)
    } == {field: value}


def test_a_version_of_the_data_set(tmp_path: Path) -> None:
    """Is a seed of its own, and no other configuration."""
    for version in (0, 1):
        options = {"dataset__version": version, "dataset__seed": "${dataset.version}"}
        train(tmp_path / str(version), PERCENT, dataset="rd_mvtec", **options)
    first, second = find_runs([tmp_path]).results
    assert (first.version, second.version) == ("version 0", "version 1")
    assert first.cell == second.cell


def test_a_fold_of_the_data_set(tmp_path: Path) -> None:
    """KolektorSDD's are averaged over, as its configuration says; the last alone would count else."""
    for fold, value in enumerate((90.0, 92.0, 97.0)):
        train(tmp_path / str(fold), (value, 90, 90), dataset="kolektor", category=None, dataset__fold=fold)
    found = find_runs([tmp_path])
    assert ([one.version for one in found.results], found.repeated) == (["fold 0", "fold 1", "fold 2"], [])
    sheet = found_sheet(found.results)
    assert [str(entry) for entry in sheet.rows[0][-4:-2]] == ["3", "93.0 ± 3.6"]
    assert sheet.columns[-4].title == "seeds x folds"


def test_folders_are_categories_of_their_own(tmp_path: Path) -> None:
    """Two folders of images, and a list in one of them."""
    of_bolts = {"dataset__root": "/elsewhere/bolts/images"}
    train(tmp_path / "a", PERCENT, dataset="folder", **of_bolts)
    train(tmp_path / "b", PERCENT, dataset="folder", dataset__root="/elsewhere/nuts/images")
    train(tmp_path / "c", PERCENT, dataset="folder", dataset__manifest="/elsewhere/bolts/list.csv", **of_bolts)
    found = find_runs([tmp_path])
    names = ["bolts/images", "bolts/list.csv", "nuts/images"]
    assert ([one.category for one in found.results], found.repeated) == (names, [])


def test_scenes_with_models_of_their_own_are_not_mixed_with_one_model_of_all(tmp_path: Path) -> None:
    """The two commands of conf/experiment/paper/table4.yaml."""
    train(tmp_path / "all", (None, 90, None), dataset="stc", category=None, dataset__per_scene=False)
    for scene in ("01", "02"):
        train(tmp_path / scene, (None, 60, None), dataset="stc", category=scene, dataset__per_scene=True)
    rows = found_sheet(find_runs([tmp_path]).results).rows
    assert [(row[-5], str(row[-2])) for row in rows] == [("1 (all)", "90.0"), ("2", "60.0")]


def test_the_size_of_the_network(tmp_path: Path) -> None:
    """.hydra/config.yaml keeps null, though the checkpoint does not."""
    train(tmp_path / "run", PERCENT, dataset__image_size=None, dataset__resize=None)
    found = find_runs([tmp_path])
    assert found.unreadable == []
    assert (found.results[0].cell.image_size, found.results[0].cell.settings) == ("native", "dataset.resize=null")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("coreset", [{"fraction": 0.1, "dim": 128}, {"fraction": 0.01, "dim": 128}, {"fraction": 0.1, "dim": None}]),
        ("weights", [{"adversarial": 1.0, "encoder": 1.0}, {"adversarial": 1.0, "encoder": 2.0}]),
        ("strides", [[16, 4], [8, 4]]),
        ("image_stage", [4, "layer3"]),
    ],
)
def test_settings_of_other_methods_lie_as_deep_as_they_do(key: str, values: list[Any], tmp_path: Path) -> None:
    for number, value in enumerate(values):
        model = {"_target_": "padim.baselines.some.Module", "layers": "${layers}", key: value}
        train(tmp_path / str(number), PERCENT, method="some", model=model)
    found = find_runs([tmp_path])
    assert len({one.cell.settings for one in found.results}) == len(values)
    assert found.repeated == []


def test_what_could_not_be_computed_is_absent(tmp_path: Path) -> None:
    train(tmp_path / "train", (99.0, None, None))
    nan = float("nan")
    ablate(tmp_path / "ablate", [{"name": "a", "percent": (98.0, None, nan)}])
    assert [one.metrics for one in find_runs([tmp_path]).results] == [{"image_auroc": 0.98}, {"image_auroc": 0.99}]


def test_failed_runs_say_what_was_typed(tmp_path: Path) -> None:
    start(tmp_path / "a/run", category="wood", seed=1)
    start(tmp_path / "b/run", "ablate")
    found = find_runs([tmp_path / "a", tmp_path / "b"])
    assert found.failed == [
        "`a/run`: `padim-train dataset=mvtec dataset.category=wood seed=1`",
        "`b/run`: `padim-ablate dataset=mvtec dataset.category=bottle seed=0`",
    ]
    assert (found.results, found.finished) == ([], 0)


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "refused"])
def test_a_run_in_the_place_of_another_has_not_its_metrics(begun: bool, tmp_path: Path) -> None:
    """Those of the run before it lie there until it is tested, for good where it was refused before it began."""
    train(tmp_path / "run", PERCENT)
    if begun:
        (tmp_path / "run" / FINISHED).unlink()
    start(tmp_path / "run", dim=200)
    found = find_runs([tmp_path])
    assert (found.results, found.unreadable) == ([], [])
    assert found.failed == [f"`{tmp_path.name}/run`: `padim-train dataset=mvtec dataset.category=bottle seed=0`"]


def test_a_finished_run_is_known_by_what_its_command_says(tmp_path: Path) -> None:
    """Without its place and its hardware, on which the results do not depend."""
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", ["trainer.devices=4", "model.anomaly_map.sigma=1e-5"])
    folder = train(tmp_path / "run", PERCENT)
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    (folder / FINISHED).write_text(json.dumps(identity(config)))
    assert FINISHED == NAME
    assert find_runs([tmp_path]).finished == 1


HALF = {
    ("metrics.json", '{"image_auroc": 0.9'): "metrics.json: Expecting ',' delimiter",
    ("metrics.json", ""): "metrics.json: Expecting value",
    ("metrics.json", "[1]"): "metrics.json is half-written: it holds no keys and values",
    (
        "metrics.json",
        '{"image_auroc": 99, "pixel_auroc": 0.9, "pro": 0.9}',
    ): "image_auroc is 99.0, which is not in [0, 1]",
    (".hydra/config.yaml", ""): "config.yaml is half-written",
    (".hydra/config.yaml", "seed: [0"): "config.yaml: while parsing a flow sequence",
    (".hydra/config.yaml", "seed: 0"): "the configuration has no backbone.weights",
    (".hydra/hydra.yaml", "hydra: {}"): "the configuration has no hydra.job.name",
    (FINISHED, '{"seed": 0'): "finished.json: Expecting ',' delimiter",
}


@pytest.mark.parametrize(("name", "content"), HALF)
def test_half_written_files_are_named(name: str, content: str, tmp_path: Path) -> None:
    train(tmp_path / "good", PERCENT)
    (train(tmp_path / "bad", PERCENT, seed=1) / FINISHED).write_text("{}")  # of any configuration
    (tmp_path / "bad" / name).write_text(content)
    found = find_runs([tmp_path])
    (line,) = found.unreadable
    assert line.startswith(f"`{tmp_path.name}/bad`: ")
    assert HALF[name, content] in line
    assert "\n" not in line
    assert [one.seed for one in found.results] == [0]


def test_a_missing_file_is_named_wherever_it_lies(tmp_path: Path) -> None:
    (ablate(tmp_path / "run", []) / "heads.csv").unlink()
    assert find_runs([tmp_path]).unreadable == [
        f"`{tmp_path.name}/run`: [Errno 2] No such file or directory: 'heads.csv'"
    ]


def test_a_cut_row_is_named(tmp_path: Path) -> None:
    path = ablate(tmp_path / "run", [{"name": "a", "percent": PERCENT}]) / "heads.csv"
    path.write_text(path.read_text().rsplit(",", 2)[0])
    assert find_runs([tmp_path]).unreadable == [f"`{tmp_path.name}/run`: heads.csv is half-written: a row is cut short"]


def test_of_equal_runs_the_newest_counts(tmp_path: Path) -> None:
    for name, seconds in (("b", 3), ("a", 1), ("c", 2)):
        written_at(train(tmp_path / name, (90.0 + seconds, 90, 90)), seconds)
    found = find_runs([tmp_path])
    assert [one.metrics["image_auroc"] for one in found.results] == [0.93]
    assert [line.split(",")[0] for line in found.repeated] == [
        f"`{tmp_path.name}/b` (padim) counts; `{tmp_path.name}/c` (padim)",
        f"`{tmp_path.name}/c` (padim) counts; `{tmp_path.name}/a` (padim)",
    ]


def test_folders_that_overlap_count_once(tmp_path: Path) -> None:
    train(tmp_path / "runs/one", PERCENT)
    found = find_runs([tmp_path, tmp_path / "runs", tmp_path / "runs/one"])
    assert (len(found.results), found.repeated) == (1, [])


def test_other_commands_are_left_out(tmp_path: Path) -> None:
    (start(tmp_path / "again", "evaluate") / "metrics.json").write_text(json.dumps({"image_auroc": 0.9}))
    assert find_runs([tmp_path]).foreign == [f"`{tmp_path.name}/again`: padim-evaluate"]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"nowhere is no folder; give folders that hold runs"):
        find_runs([tmp_path / "nowhere"])


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"no run in or below .*: a run is a folder with .*, and finished.json once"):
        find_runs([tmp_path])


def test_a_missing_column(tmp_path: Path) -> None:
    path = ablate(tmp_path / "run", [{"name": "a", "percent": PERCENT}]) / "heads.csv"
    path.write_text(path.read_text().replace("pixel_auroc", "pixel"))
    with pytest.raises(
        ReportError, match=r"heads.csv has no column pixel_auroc; it has name, layers, .* Run padim-ablate"
    ):
        find_runs([tmp_path])


@pytest.mark.parametrize("times", [1, 2])
def test_labels_tell_apart(times: int) -> None:
    """What is not said is the paper's, even if most are otherwise."""
    changes: list[dict[str, Any]] = [{}, {"dim": 200}, {"reduction": "none", "dim": None, "pool": "3"}]
    changes.append({"settings": "anomaly_map.sigma=2.0", "eps": 0.1})
    changes += [{"dim": 300 * number, "covariance": "oas"} for number in range(1, 3 * times)]
    cells = [Cell(**(vars(R18) | change)) for change in changes]
    names = labels(cells)
    assert len(set(names.values())) == len(cells)
    assert list(names.values())[:5] == [
        "random 100",
        "random 200",
        "none, pool 3",
        "random 100, anomaly_map.sigma=2.0, eps 0.1",
        "random 300, oas",
    ]
