"""How much memory there is."""

import os
from pathlib import Path


def available() -> int:
    """Bytes that this process may still take: of the machine, and of its control group where there is one."""
    machine = Path("/proc/meminfo")
    if not machine.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in machine.read_text().splitlines())
    free = 1024 * int(fields["MemAvailable"].split()[0])
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free
