"""How much memory there is."""

import psutil
import pytest

from padim import memory


def test_available_memory_is_the_kernels_figure() -> None:
    free = memory.available()
    assert free <= psutil.virtual_memory().total
    assert free == pytest.approx(psutil.virtual_memory().available, rel=0.2) or free < psutil.virtual_memory().available
