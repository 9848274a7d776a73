"""Models that the tests of predictions share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.predict.photos import CALIBRATED, VARIANTS, fit


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a calibrated model, by how its images are resized and cropped."""
    return cache(lambda variant: fit(tmp_path_factory.mktemp(variant), *VARIANTS[variant], *CALIBRATED))
