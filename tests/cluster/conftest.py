"""A SLURM for all tests of a session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.held import GATES
from tests.cluster.private_slurm import private_slurm
from tests.cluster.sweeps import Sweep
from tests.drawn import draw


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("slurm")
    with private_slurm(folder), pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")  # four jobs share the cores
        yield
    shutil.rmtree(folder)  # 200 MB, of which pytest would keep three


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A category of seven and ten images, to copy."""
    return draw(tmp_path_factory.mktemp("drawn"), "wood", train=7, test_good=2)


@pytest.fixture
def gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the gates of held fits; jobs inherit the environment."""
    monkeypatch.setenv(GATES, str(tmp_path / "gates"))
    return tmp_path / "gates"


@pytest.fixture(autouse=True)
def no_sweep_is_left() -> Iterator[None]:
    """A sweep of a test that failed would wait for its jobs for ever, and they would take the place of others'."""
    yield
    Sweep.end_all()
