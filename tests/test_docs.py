"""Every command, link and example in the README works."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from padim.commands import CONF
from padim.data.synthetic import generate

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


@pytest.mark.parametrize("command", PADIM_COMMANDS)
def test_commands_compose(command: str) -> None:
    """Each job of a sweep too; that a composed command runs is shown in tests/commands."""
    program, *overrides = shlex.split(command)
    assert f'{program} = "padim.commands' in (CHECKOUT / "pyproject.toml").read_text()
    overrides = [override for override in overrides if override != "-m"]
    with initialize_config_dir(CONF, version_base="1.3"):
        for values in zip(*(override.partition("=")[2].split(",") for override in overrides), strict=False):
            assert compose(
                program.removeprefix("padim-"),
                overrides=[
                    f"{override.partition('=')[0]}={value}" for override, value in zip(overrides, values, strict=True)
                ],
            )


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    assert re.search(rf"^{command.split()[1]}:.*##", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_local_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (CHECKOUT / page).read_text()):
        assert link.startswith("https://") or (CHECKOUT / link).exists(), link


@pytest.mark.parametrize(
    "choice", re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE), ids=lambda c: str(c)[:9]
)
def test_groups_are_listed_in_full(choice: tuple[str, str]) -> None:
    group, listed = choice
    if not (Path(CONF) / group).is_dir():
        return  # a row of the results
    stems = {path.stem for path in (Path(CONF) / group).glob("*.yaml")}
    assert stems <= set(re.findall(r"`(\w+)`", listed))


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [block for language, block in BLOCKS if language == "python"]
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "data/synthetic/seed-0/wood", "wood", train=5, test_good=1, per_kind=1)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["score"].shape == (5,)
    assert names["anomaly_map"].shape == (5, 224, 224)
