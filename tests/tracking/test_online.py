"""The client as it is, against a server that stands in for W&B's: runs, an offline run sent later, and a sweep."""

import itertools
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from padim.commands import CONF, train
from padim.commands.wandb_run import WandbRun
from tests.commands.test_run import TINY, command, run
from tests.tracking.mock_server import API_KEY, Server, wandb_server

SWEEP = Path(__file__).parents[2] / "experiments" / "wandb_sweep.yaml"
BIN = Path(sys.executable).parent
ONLINE = ["logger=wandb", "logger.offline=false"]


def config_of(server: Server, name: str) -> dict[str, Any]:
    entries = yaml.safe_load(server.uploads[f"{name}/config.yaml"]).items()
    return {key: entry["value"] for key, entry in entries if "value" in entry}


def assert_arrived(server: Server, folder: Path) -> str:
    """The id of the only run, once all that a run leaves is known to be on the server."""
    ((name, listed),) = server.runs.items()
    assert server.exit_codes == {name: 0}
    assert (listed["project"], listed["jobType"]) == ("padim", "train")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert listed.get("commit", "") == commit
    summary = {key: value for row in server.history[name] for key, value in row.items()}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {key: summary[key] for key in metrics} == pytest.approx(metrics)
    assert config_of(server, name)["reduction"] == {"name": "random", "dim": 20}
    (picture,) = [content for path, content in server.uploads.items() if path.endswith(".png")]
    assert picture == (folder / "extremes.png").read_bytes()
    table = json.loads(server.uploads[f"run-{name}-kinds/kinds.table.json"])
    assert [row[0] for row in table["data"]][:2] == ["good", "colour"]
    assert server.uploads[f"padim-{name}/padim.ckpt"] == (folder / "padim.ckpt").read_bytes()
    assert server.artifacts[f"padim-{name}"] == "model"
    return name


def test_a_run_arrives(synthetic: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, *ONLINE]
    run(monkeypatch, train.main, *overrides, "logger.log_model=true", "logger.entity=nobody", "logger.group=mine")
    name = assert_arrived(server, tmp_path)
    assert server.runs[name]["groupName"] == "mine"
    tables = ("kinds", "image_roc_table", "pixel_roc_table", "pro_table")
    assert set(server.artifacts) == {f"padim-{name}", *(f"run-{name}-{table}" for table in tables)}


@pytest.mark.slow
def test_an_offline_run_is_sent_later(
    synthetic: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, "logger=wandb", "logger.log_model=true"]
    run(monkeypatch, train.main, *overrides)
    assert server.runs == {}
    (offline,) = tmp_path.glob("wandb/offline-run-*")
    subprocess.run([BIN / "wandb", "sync", offline], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert_arrived(server, tmp_path)


def test_every_job_of_the_sweep_composes() -> None:
    parameters = yaml.safe_load(SWEEP.read_text())["parameters"]
    with initialize_config_dir(CONF, version_base="1.3"):
        for choice in itertools.product(*(parameter["values"] for parameter in parameters.values())):
            compose("train", [f"{name}={value}" for name, value in zip(parameters, choice, strict=True)])


@pytest.mark.slurm
def test_an_agent_drives_hydra(
    synthetic: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the experiments, on two small jobs."""
    sweep = yaml.safe_load(SWEEP.read_text())
    sweep["parameters"] = {name: {"values": parameter["values"][:1]} for name, parameter in sweep["parameters"].items()}
    sweep["parameters"]["covariance.eps"]["values"] = [0.003, 0.03]
    sweep["command"] += [f"dataset.root={synthetic}", *TINY[:2], "data.batch_size=4"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    monkeypatch.setenv("PATH", str(BIN), prepend=":")
    for arguments in (["sweep", "--project", "padim", "sweep.yaml"], ["agent", "nobody/padim/sweep"]):
        subprocess.run(["wandb", *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert server.exit_codes == {"sweep-run-0": 0, "sweep-run-1": 0}
    assert [config_of(server, name)["covariance"]["eps"] for name in sorted(server.runs)] == [0.003, 0.03]
    assert all(listed["sweep"] == "sweep" for listed in server.runs.values())
    assert len(list(tmp_path.glob("outputs/wandb_sweep/*/*-sweep-run-?/metrics.json"))) == 2


@pytest.mark.slow
def test_no_server_ends_a_run_in_seconds(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, *ONLINE, "logger.init_timeout=2"]
    result = command("train", *overrides)
    assert result.returncode == 1
    assert "W&B gave no run, within logger.init_timeout=2 seconds" in result.stderr
    assert "leave logger.offline=true, and run `wandb sync`" in result.stderr
    assert not (tmp_path / "padim.ckpt").exists()


def test_a_server_that_takes_connections_and_never_answers(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, *ONLINE, "logger.init_timeout=2"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=r"within logger.init_timeout=2 seconds"):
            run(monkeypatch, train.main, *overrides)
        assert time.monotonic() - start < 10


def test_a_server_that_is_gone_at_the_end_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the client would wait, on a node that is paid for, until the server is back."""
    with wandb_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        logger = WandbRun(tmp_path, "padim", offline=False, finish_timeout=2)
        logger.log_hyperparams({"seed": 0})
    logger.log_metrics({"pro": 0.5})
    start = time.monotonic()
    logger.close(failed=False)
    assert time.monotonic() - start < 10


def test_without_a_key_nobody_is_asked(synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [f"output_dir={tmp_path}", f"dataset.root={synthetic}", *TINY, *ONLINE]
    with pytest.raises(ConnectionError, match=r"No API key configured\. Use `wandb login`"):
        run(monkeypatch, train.main, *overrides)
