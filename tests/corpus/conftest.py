"""A model, and a limit to how long a test may wait."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.predict.photos import CALIBRATED, VARIANTS, fit


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a calibrated model."""
    return fit(tmp_path_factory.mktemp("model"), *VARIANTS["stretch"], *CALIBRATED)


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    """Whoever waits for a pipe fails."""

    def late(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
