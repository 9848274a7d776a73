"""Synthetic images that the baselines share, small and few."""

from pathlib import Path

import pytest

from padim.data.synthetic import Synthetic, generate

TRAIN, TEST_GOOD, PER_KIND = 24, 10, 3


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root for ``dataset=synthetic dataset.root=...``."""
    return _drawn(tmp_path_factory, "board")


@pytest.fixture(scope="session")
def wood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root for ``dataset=synthetic dataset.category=wood dataset.root=...``: a texture, without parts."""
    return _drawn(tmp_path_factory, "wood")


def _drawn(tmp_path_factory: pytest.TempPathFactory, category: str) -> Path:
    root = tmp_path_factory.mktemp(category)
    folder = Synthetic(root, category, 0).root / category
    generate(folder, category, 0, train=TRAIN, test_good=TEST_GOOD, per_kind=PER_KIND)
    return root
