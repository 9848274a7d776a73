"""What a run ran with and on, as far as it changes figures or times; not whose machine it is."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("padim", "torch", "torchvision", "timm", "pytorch-lightning", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Of Python and what counts most."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def machine(device: torch.device) -> dict[str, str]:
    """Processor and memory, and the GPU where it was used.

    Args:
        device: on which the test ran.
    """
    facts = {
        "processor": f"{_processor()}, {_cores()} cores",
        "threads": str(torch.get_num_threads()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        facts["GPU"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    return facts


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", path.read_text()) if path.exists() else None
    return model[1] if model else platform.machine()


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
