"""A key, a token or a password is refused before anything is written, and is not shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from padim.commands import ablate, evaluate, train
from padim.commands.credentials import Refusal, suspicion
from tests.commands.test_run import TINY, run
from tests.tracking.mock_server import API_KEY, Server

SECRET = "hunter2hunter2"
ENVIRONMENT = {"MY_API_KEY": SECRET, "SHORT_TOKEN": "train", "HOME": "/home/somebody", "BUILD_ID": "12345678"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logger.api_key", "x"),
        ("logger.apikey", 12),
        ("backbone.hub_token", "x"),
        ("password", "x"),
        ("dataset.secret.one", "x"),
        ("hydra.job.env_set.WANDB_API_KEY", "x"),
        ("dataset.root", f"/data/{SECRET}/images"),
        ("hydra.overrides.task.0", "+logger.api_key=x,y"),
        ("hydra.launcher.setup.0", "export HF_TOKEN=x"),
        ("hydra.sweeper.storage", "postgresql://me:x@host/studies"),
    ],
)
def test_what_is_refused(key: str, value: object) -> None:
    assert suspicion(key, value, ENVIRONMENT) is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logger.api_key", None),
        ("backbone.class_token", True),
        ("backbone.reg_tokens", 4),
        ("seed", 12345678),
        ("dataset.root", "/home/somebody/train"),
        ("hydra.launcher.setup.0", "export WANDB_API_KEY=$(cat ~/.key)"),
        ("hydra.launcher.setup.0", 'export HF_TOKEN="$TOKEN"'),
        ("hydra.sweeper.storage", "sqlite:///studies.db"),
        ("trainer.strategy._target_", "padim.processes.SharingStrategy"),
    ],
)
def test_what_is_not(key: str, value: object) -> None:
    assert suspicion(key, value, ENVIRONMENT) is None


@pytest.mark.parametrize("main", [train.main, ablate.main])
@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ([f"+logger.api_key={SECRET}"], "logger.api_key is named like a credential"),
        (["-m", f"+logger.api_key={SECRET},b"], "logger.api_key is named like a credential"),
        ([f"dataset.root=/data/{SECRET}"], "dataset.root holds the value of the environment variable MY_TOKEN"),
        (["+note=${oc.env:MY_TOKEN}"], "note holds the value of the environment variable MY_TOKEN"),
        (["-m", "+note='${oc.env:MY_TOKEN}',b"], "note holds the value of the environment variable MY_TOKEN"),
        ([f"+hydra.job.env_set.WANDB_API_KEY={SECRET}"], "hydra.job.env_set.WANDB_API_KEY is named like a credential"),
    ],
)
def test_nothing_is_written_and_the_value_is_not_shown(
    main: Callable[[], object],
    overrides: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"{reason}.*WANDB_API_KEY in the environment") as refused:
        run(monkeypatch, main, *overrides, f"output_dir={tmp_path / 'out'}", "logger=wandb")
    assert SECRET not in str(refused.value) + "".join(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["on_run_start", "on_multirun_start", "on_job_start"])
def test_a_secret_in_a_file_is_found_at_each_moment(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a run or a sweep, and in a job, where a variable may be set that is not where the sweep was started."""
    config = OmegaConf.create({"notes": [{"text": "see ${oc.env:MY_TOKEN}"}, "???"], "hydra": {"overrides": {}}})
    getattr(Refusal(), moment)(config)
    monkeypatch.setenv("MY_TOKEN", SECRET)
    with pytest.raises(SystemExit, match=r"notes\.0\.text holds the value of the environment variable MY_TOKEN"):
        getattr(Refusal(), moment)(config)


@pytest.mark.slow
def test_the_key_of_the_environment_reaches_no_file(
    synthetic: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the disk, of two runs and a checkpoint, nor on the server."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    online = ["logger=wandb", "logger.offline=false", "logger.log_model=true"]
    run(monkeypatch, train.main, f"output_dir={tmp_path / 'a'}", f"dataset.root={synthetic}", *TINY, *online)
    run(monkeypatch, evaluate.main, f"checkpoint={tmp_path / 'a/padim.ckpt'}", f"output_dir={tmp_path / 'b'}", *online)
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.suffix == ".wandb" for path in written)
    assert any(path.name == "padim.ckpt" for path in written)
    for secret in (API_KEY.encode(), SECRET.encode()):
        assert [str(path) for path, content in written.items() if secret in content] == []
        assert [name for name, content in server.uploads.items() if secret in content] == []
