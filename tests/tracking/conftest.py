"""What the tests of W&B share: a small data set, a server, and a home of their own for the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from tests.drawn import draw
from tests.tracking.mock_server import Server, wandb_server


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    draw(root, "board", train=7, test_good=4)
    return root


@pytest.fixture(autouse=True)
def _own_client(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client keeps what it has read from the environment until it is torn down."""
    home = tmp_path_factory.mktemp("home")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A W&B server that the client of this process and of its children finds."""
    with wandb_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
    assert server.unknown == []
