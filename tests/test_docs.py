"""Every command, link and example in the README works."""

import importlib
import itertools
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from padim.commands import CONF, ablate, train
from padim.report import command as report
from tests.commands.test_run import command as run_apart
from tests.commands.test_run import run
from tests.drawn import draw

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    if line.strip()
] + re.findall(r"\| `(padim-[^`]+)`", README)
PADIM_COMMANDS = [command for command in COMMANDS if command.startswith("padim-")]


def test_there_is_something_to_test() -> None:
    assert len(README.splitlines()) <= 150
    assert {"make demo", "make test"} <= set(COMMANDS)
    assert len(PADIM_COMMANDS) >= 7


@pytest.mark.parametrize("command", [c for c in PADIM_COMMANDS if re.match("padim-(train|evaluate|ablate|predict)", c)])
def test_commands_compose(command: str) -> None:
    """Each job of a sweep too."""
    program, *overrides = shlex.split(command)
    choices = [
        [f"{key}={value}" for value in values.split(",")] if "[" not in values else [f"{key}={values}"]
        for key, _, values in (override.partition("=") for override in overrides if override != "-m")
    ]
    for job in itertools.product(*choices):
        with initialize_config_dir(CONF, version_base="1.3"):
            config = compose(program.removeprefix("padim-"), overrides=list(job))
        if program == "padim-train":
            OmegaConf.resolve(config)


@pytest.mark.parametrize("command", [c for c in PADIM_COMMANDS if re.match("padim-(export|merge|update)", c)])
def test_options_exist(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the model file, of which there is none here."""
    program, *arguments = shlex.split(command)
    module = importlib.import_module(f"padim.commands.{program.removeprefix('padim-')}")
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    monkeypatch.setattr(sys, "argv", [program, *(argument.replace("DIR", str(tmp_path)) for argument in arguments)])
    with pytest.raises(SystemExit, match=r"padim-\w+: .*padim.ckpt is no file"):
        module.main()


@pytest.mark.parametrize("command", PADIM_COMMANDS)
def test_commands_are_installed(command: str) -> None:
    assert f'\n{command.split()[0]} = "padim.' in (CHECKOUT / "pyproject.toml").read_text()


@pytest.mark.slow
def test_heads_and_their_report(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablate_command, report_command = [c for c in PADIM_COMMANDS if re.match("padim-(ablate|report)", c)]
    overrides = [override for override in shlex.split(ablate_command)[1:] if "output_dir" not in override]
    small = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", f"dataset.root={images}"]
    run(monkeypatch, ablate.main, *overrides, *small, f"output_dir={tmp_path / 'heads'}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(report_command))
    report.main()
    assert (tmp_path / "report" / "report.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in PADIM_COMMANDS if command.startswith("padim-train")])
def test_training_commands_run(command: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first job of a sweep, on a few small images, and with random weights for want of a hub."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    text = command.replace("DIR", str(next(images.glob("*")))).replace("CATEGORY", "board")
    overrides = [one for one in shlex.split(text)[1:] if one != "-m" and not one.startswith("hydra/launcher=")]
    if not any(override.startswith("dataset.root=") for override in overrides):
        overrides.append(f"dataset.root={images}")
    first = [override if "[" in override else override.split(",")[0] for override in overrides]
    tiny = ["dataset.resize=[64,64]", "dataset.image_size=[64,64]", "trainer=debug"]
    tiny += [] if "dataset=folder" in command else ["dataset.category=board"]
    run(monkeypatch, train.main, *first, *tiny, "backbone.weights=random", f"output_dir={tmp_path}")
    assert (tmp_path / "metrics.json").is_file()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    draw(root, "board", train=4, test_good=1)
    return root


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    assert re.search(rf"^{command.split()[1]}:.*##", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "experiments/README.md"])
def test_local_links_lead_somewhere(page: str) -> None:
    path = CHECKOUT / page
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_every_choice_of_every_group_is_listed() -> None:
    listed = {
        group: choices
        for groups, choices in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", README, re.MULTILINE)
        for group in re.findall(r"\w+", groups)
    }
    for group in Path(CONF).iterdir():
        if group.is_dir() and group.name != "hydra":  # its own
            assert {path.stem for path in group.glob("*.yaml")} <= set(re.findall(r"`(\w+)`", listed[group.name]))


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [block for language, block in BLOCKS if language == "python"]
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "data/synthetic", "wood", train=5, test_good=1)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["score"].shape == (5,)
    assert names["anomaly_map"].shape == (5, 224, 224)


@pytest.mark.slow
def test_the_demo_gives_the_figures_of_the_readme(tmp_path: Path) -> None:
    """They may move by the rounding of another machine, and by no more."""
    names = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pro": "PRO"}
    told = {key: float(*re.findall(rf"^ +{name}  (\d\.\d+)$", README, re.MULTILINE)) for key, name in names.items()}
    result = run_apart("train", f"output_dir={tmp_path / 'run'}", f"dataset.root={tmp_path / 'data'}")
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {key: metrics[key] for key in names} == pytest.approx(told, abs=0.005)
