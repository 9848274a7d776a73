"""Runs of a method as a user types them."""

import json
from pathlib import Path

import pytest

from padim.commands import train
from tests.commands.test_run import run

TINY = ["dataset.resize=[72,72]", "dataset.image_size=[64,64]", "data.batch_size=8"]


def trained(
    method: str, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: object
) -> dict[str, float]:
    """metrics.json of padim-train on small synthetic images, random weights; the checkpoint is in the folder."""
    given = [f"method={method}", f"dataset.root={root}", f"output_dir={folder}", *TINY, *overrides]
    run(monkeypatch, train.main, *given)
    return json.loads((folder / "metrics.json").read_text())
