"""The commands that run methods: the only place that imports Hydra."""

import atexit
import gc
from importlib import import_module
from pathlib import Path

# Imports make a million objects and no garbage. Python, which looks for it after every 700 new ones, would take a sixth
# longer for them, and later half a second for each look at all. At the end libraries report what is never collected.
gc.disable()
try:
    for library in ("hydra", "pytorch_lightning", "timm"):
        import_module(library)
finally:
    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.enable()

_INSTALLED = Path(__file__).parents[1] / "conf"
CONF = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf")
"""Absolute path of the configuration: inside the package once installed, beside it in a checkout."""
