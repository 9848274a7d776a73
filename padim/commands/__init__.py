"""The commands: the only place that imports Hydra."""

import gc
from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf")
"""Absolute path of the configuration: inside the package once installed, beside it in a checkout."""

# What a command imports makes a million objects and hardly any garbage: to look for it after every 700 of them, as
# Python does, takes a seventh of the time until its first batch.
gc.set_threshold(100_000)
