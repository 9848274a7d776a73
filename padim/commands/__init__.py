"""The commands that run methods: the only place that imports Hydra."""

import gc
from importlib import import_module
from pathlib import Path

# Their million objects stay, and no garbage is among them: Python, which looks for it after every 700 new ones, would
# take a sixth longer.
gc.disable()
try:
    for library in ("hydra", "pytorch_lightning", "timm"):
        import_module(library)
finally:
    gc.enable()

_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf")
"""Absolute path of the configuration: inside the package once installed, beside it in a checkout."""
