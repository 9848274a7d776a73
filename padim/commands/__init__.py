"""The commands: the only place that imports Hydra."""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf")
"""Absolute path of the configuration: inside the package once installed, beside it in a checkout."""
