"""How much memory there is."""

import re
from pathlib import Path

import psutil
import pytest

from padim import memory

GIB = 2**30


def test_available_memory_of_this_machine() -> None:
    assert 0 < memory.available() <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("groups", "left"),
    [
        ({}, 20),  # no limit but the machine's
        ({"": ("max", 5, 0)}, 20),
        ({"": (16 * GIB, 5, 0)}, 11),
        ({"": (16 * GIB, 15, 12)}, 13),  # most of what is used are pages of files
        ({"": ("max", 9, 0), "slurm/job": (8 * GIB, 2, 0)}, 6),
        ({"slurm": (8 * GIB, 5, 1), "slurm/job": ("max", 2, 0)}, 4),  # the limit of a group that it lies in
    ],
)
def test_limits_of_control_groups(groups: dict[str, tuple[object, int, int]], left: int, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {24 * 2**20} kB\nMemAvailable: {20 * 2**20} kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/slurm/job\n")
    for name, (limit, used, files) in groups.items():
        folder = tmp_path / "sys/fs/cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used * GIB}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {files * GIB}\n")
    assert memory.available(tmp_path) == left * GIB


def test_what_is_too_large_is_told_of_what_it_consists(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"the statistics": 3 * 10**9, "their whitening": 10**9}
    monkeypatch.setattr(memory, "available", lambda: 4 * 10**9)
    memory.require("it needs", parts, "take less")
    monkeypatch.setattr(memory, "available", lambda: 39 * 10**8)
    said = "it needs 4.0 GB (3.0 for the statistics, 1.0 for their whitening) and 3.9 GB are free: take less"
    with pytest.raises(MemoryError, match=re.escape(said)):
        memory.require("it needs", parts, "take less")
