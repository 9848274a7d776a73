"""The launchers' configuration, and what they make of a job's end; no cluster is needed."""

import re
import shlex
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, InstantiationException
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig

from hydra_plugins.padim_launcher._jobs import Failure, last_word_of_slurm, name_jobs, summary, what_was_raised
from padim.commands import CONF

LAUNCHERS = sorted(path.stem for path in Path(CONF, "hydra", "launcher").glob("*.yaml"))


def composed(launcher: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [f"hydra/launcher={launcher}", *overrides], return_hydra_config=True)
    return config.hydra.launcher


def made(config: DictConfig) -> Launcher:
    config.submitit_folder = "elsewhere"  # by default it depends on the sweep, and there is none
    return instantiate(config)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_instantiates(launcher: str) -> None:
    assert type(made(composed(launcher))) in Plugins.instance().discover(Launcher)


def test_values_have_comments() -> None:
    assert LAUNCHERS == ["local", "slurm_cpu", "slurm_gpu"]
    for launcher in LAUNCHERS:
        for line in Path(CONF, "hydra", "launcher", f"{launcher}.yaml").read_text().splitlines():
            assert not re.match(r"\w+: ", line) or " # " in line, line


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_an_unknown_key_is_refused(launcher: str) -> None:
    with pytest.raises(ConfigCompositionException, match="partitoin"):
        composed(launcher, "hydra.launcher.partitoin=gpu")


def test_ctrl_c_does_one_of_two_things() -> None:
    with pytest.raises(ConfigCompositionException) as raised:
        composed("slurm_cpu", "hydra.launcher.on_interrupt=ask")
    assert "Invalid value 'ask', expected one of [cancel, leave]" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("launcher", "override", "message"),
    [
        ("slurm_cpu", "timeout_min=3", "timeout_min=3 minutes leave a job no time, .* timeout_min must be 4 or more"),
        ("local", "array_parallelism=0", "array_parallelism=0; it must be 1 or more"),
    ],
)
def test_values_that_would_run_nothing_are_refused(launcher: str, override: str, message: str) -> None:
    with pytest.raises(InstantiationException, match=message):
        made(composed(launcher, f"hydra.launcher.{override}"))


def test_a_launcher_of_ones_own(tmp_path: Path) -> None:
    """In a folder that --config-dir adds to Hydra's search path."""
    own = tmp_path / "hydra" / "launcher" / "mysite.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("defaults: [slurm_gpu, _self_]\npartition: big\n")
    config = composed("mysite", f"hydra.searchpath=[file://{tmp_path}]")
    assert (config.partition, config.gpus_per_node) == ("big", 1)
    own.write_text("defaults: [slurm_gpu, _self_]\npartitoin: big\n")
    with pytest.raises(ConfigCompositionException, match="Key 'partitoin' not in 'PadimSlurmConf'"):
        composed("mysite", f"hydra.searchpath=[file://{tmp_path}]")


def test_every_command_starts_without_the_launchers_means() -> None:
    """Hydra imports all launchers at every start: torch and submitit would cost seconds."""
    script = "import sys; from hydra.core.plugins import Plugins; Plugins.instance(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "hydra_plugins.padim_launcher.slurm" in modules
    assert not {"torch", "submitit", "padim"} & set(modules)


def test_jobs_are_named_by_what_they_do_not_share() -> None:
    assert name_jobs({4: ["seed=0", "dim=5"], 5: ["seed=1", "dim=5"]}) == {4: "#4 seed=0", 5: "#5 seed=1"}
    assert name_jobs({0: ["seed=0", "hydra.verbose=true"]}) == {0: "#0 seed=0"}


def test_the_reason_is_the_line_behind_the_last_frame() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("no such thing; there is:\n    this\nand that") from None

    with pytest.raises(ValueError, match="no such thing") as raised:
        fail()
    trace = "".join(traceback.format_exception(raised.value))
    assert what_was_raised(f"{trace}-----\nmore") == "ValueError: no such thing; there is: this"
    assert what_was_raised("ValueError: there is:\n\n-----\nmore") == "ValueError: there is:"


def test_the_reason_of_a_constructor_that_raises_is_told() -> None:
    """Hydra wraps it, and only the first line of Hydra's message, which holds no reason, was told."""
    with pytest.raises(InstantiationException) as raised:
        made(composed("local", "hydra.launcher.array_parallelism=0"))
    reason = what_was_raised("".join(traceback.format_exception(raised.value)))
    assert re.fullmatch(r"\S+InstantiationException: .*LocalLauncher': ValueError\(.*it must be 1 or more.*", reason)


def test_the_summary_names_the_logs() -> None:
    failure = Failure("7_1", "FAILED", "ValueError: no", Path("7_1_log.err"))
    said = summary({0: "#0 seed=0", 1: "#1 seed=1"}, {1: failure}, "out").splitlines()
    assert said[:2] == ["1 of 2 jobs failed:", "  #1 seed=1: FAILED, ValueError: no (job 7_1, log 7_1_log.err)"]


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (None, "it never started"),
        ("loading\n", "it ended without a result, as if killed"),
        ("srun: error: n1: task 0: Killed\nsrun: Force Terminated StepId=1.0\n", "n1: task 0: Killed"),
        (
            "slurmstepd-n1: error: *** STEP 13.0 ON n1 CANCELLED AT 2026-11-24T02:59:09 DUE TO TIME LIMIT ***\n"
            "srun: error: n1: task 0: Killed\n",
            "STEP 13.0 ON n1 CANCELLED AT 2026-11-24T02:59:09 DUE TO TIME LIMIT",
        ),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\nsrun: error: n1: task 0: Out Of Memory\n",
            "Detected 1 oom_kill event in StepId=7.0.",
        ),
    ],
)
def test_the_reason_is_what_slurm_says(log: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "log.err"
    if log is not None:
        path.write_text(log)
    assert last_word_of_slurm(path) == reason


PAGE = (Path(CONF).parent / "experiments" / "CLUSTER.md").read_text()


@pytest.mark.parametrize("line", re.findall(r"^padim-train (.*)$", PAGE, re.MULTILINE))
def test_commands_of_the_page_compose(line: str, tmp_path: Path) -> None:
    """With the page's own mysite.yaml."""
    (site,) = re.findall(r"mysite\.yaml <<END\n(.*?)END\n", PAGE, re.DOTALL)
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "mysite.yaml").write_text(site)
    words = shlex.split(re.sub(r"\$\(.*?\)", "1/16", line), comments=True)  # a list that the shell makes
    overrides = [word for word in words if re.match(r"[\w./]+=", word)]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [*overrides, f"hydra.searchpath=[file://{tmp_path}]"], return_hydra_config=True)
    if "mysite" in line:
        assert config.hydra.launcher.account == "my-project"
    if "hydra/launcher" in line:
        made(config.hydra.launcher)


def test_links_of_the_page_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (Path(CONF).parent / "experiments" / link).exists(), link
