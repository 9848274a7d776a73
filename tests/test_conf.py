"""Every YAML file of conf/ composes and instantiates; every typo is refused."""

import warnings
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from padim.cells import expand
from padim.commands import CONF, ablate, train
from padim.commands.tracking import EXPECTED_WARNINGS
from tests.commands.test_run import run
from tests.drawn import draw

FILES = sorted(path.relative_to(CONF).with_suffix("") for path in Path(CONF).rglob("*.yaml"))
GROUPS = ["=".join(str(path).split("/", 1)) for path in FILES if len(path.parts) > 1 and path.parts[0] != "hydra"]
EXPERIMENTS = [choice for choice in GROUPS if choice.startswith("experiment=")]
OF_MODELS = ("backbone", "covariance", "experiment", "layers", "method", "preset", "reduction")
OFFLINE = [
    "backbone.weights=random",
    "dataset.resize=[122,122]",
    "dataset.image_size=[112,112]",
]  # by 14, 16


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", list(overrides))
        return compose("ablate", list(overrides)) if "heads" in config else config


def test_there_are_groups() -> None:
    assert len(GROUPS) > 20
    assert len(EXPERIMENTS) >= 4


@pytest.mark.parametrize("choice", GROUPS)
def test_every_file_composes_and_instantiates(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if choice == "trainer=gpu":  # whether there is one or not: it is not used here
        monkeypatch.setattr("lightning_fabric.accelerators.cuda.num_cuda_devices", lambda: 1)
        monkeypatch.setattr("pytorch_lightning.accelerators.cuda.num_cuda_devices", lambda: 1)
    config = composed(choice, *OFFLINE)
    assert OmegaConf.missing_keys(config) == set()
    if "heads" not in config and config.reduction.dim is not None:
        config.reduction.dim = 20  # a single layer has few channels
    OmegaConf.resolve(config)
    instantiate(config.data)
    if "heads" in config:
        assert len(expand(OmegaConf.to_container(config.heads))) >= 5
    elif choice.partition("=")[0] in OF_MODELS:
        instantiate(config.model)
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        instantiate(config.trainer, logger=instantiate(config.logger, save_dir=tmp_path))


NODES = ["data", "model", "backbone", "layers", "reduction", "covariance", "dataset", "trainer", "logger"]


@pytest.mark.parametrize("typo", [f"{node}{separator}typo" for node in NODES for separator in (".", "")])
def test_a_typo_in_any_group_is_refused(typo: str) -> None:
    with pytest.raises(ConfigCompositionException, match="typo"):
        composed(f"{typo}=1")


@pytest.mark.parametrize("group", ["backbone", "layers", "reduction", "covariance", "dataset", "trainer", "logger"])
def test_an_unknown_choice_lists_the_known(group: str) -> None:
    with pytest.raises(Exception, match=f"Could not find '{group}/typo'(?s:.)*Available options"):
        composed(f"{group}=typo")


def test_an_experiment_of_heads_is_not_for_padim_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run it with padim-ablate"):
        run(monkeypatch, train.main, "experiment=paper/table1", "dataset.category=bottle", f"output_dir={tmp_path}")


def test_one_composed_result() -> None:
    """The order of the defaults list: the experiment comes last, and overrides after it."""
    config = composed("experiment=padim_wr50_rd550", "layers=l23", "covariance.eps=0.02", "seed=3")
    OmegaConf.resolve(config)
    assert config.model == {
        "_target_": "padim.module.PaDiMModule",
        "_convert_": "all",
        "backbone": {
            "name": "wide_resnet50_2",
            "tag": "tv_in1k",
            "taps": None,
            "weights": "imagenet",
            "seed": 0,
        },
        "layers": {"stages": [2, 3], "combine": "concat"},
        "image_size": [224, 224],
        "reduction": {"name": "random", "dim": 550},
        "covariance": {"name": "sample", "eps": 0.02, "pool": 1},
        "anomaly_map": {"sigma": 4.0, "interpolation": "bicubic"},
        "seed": 3,
        "save_state": True,
    }
    assert config.dataset.reader._target_ == "padim.data.mvtec.MVTec"


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=4, test_good=2)
    return root


# Of sweeps over many presets some, in this process; tests/report/test_experiments.py runs what is compared as it is.
SOME = {
    "paper/table3": ["preset=r18_rd100,spade_wr50"],
    "paper/table5": ["preset=b5,mahalanobis_ad_b4"],
    "paper/table6": ["preset=wr50_rd550", "dataset.version=0", "reduction.dim=12"],
    "paper/table7_and_8": ["preset=r18_rd100", "hydra/launcher=basic"],
    "paper/methods": ["preset=dn2_r18", "hydra/launcher=basic"],
    "paper/memory": ["preset=patchcore_r18", "dataset.shard=1/2", "hydra/launcher=basic"],
    "paper/trained": ["method=ae_l2"],
}


@pytest.mark.parametrize(
    "experiment",
    [one if one.endswith("r18_rd100") else pytest.param(one, marks=pytest.mark.slow) for one in EXPERIMENTS],
)
def test_every_experiment_runs(
    experiment: str, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(experiment)
    data = ["dataset=synthetic", f"dataset.root={synthetic}", "data.batch_size=2", "trainer=debug"]
    data += ["dataset.category=board"]  # instead of a sweep over all of MVTec AD's
    if "heads" in config:
        main, small = ablate.main, [f"heads.{name}.dim=12" for name, block in config.heads.items() if "dim" in block]
        small += ["heads.random.seed=[0,1]"] if "random" in config.heads else []
    else:
        main, small = train.main, ["reduction.dim=12"] if "rd" in experiment else []
    if experiment == "experiment=paper/table6":
        (root,) = synthetic.iterdir()
        data = [*data[2:], f"dataset.root={root}"]
    small += SOME.get(experiment.removeprefix("experiment="), [])
    run(monkeypatch, main, experiment, f"output_dir={tmp_path}", *data, *OFFLINE, *small)
    assert list(tmp_path.rglob("metrics.json"))
    assert not list(tmp_path.rglob("experiment=*"))  # a name with a slash would nest folders
