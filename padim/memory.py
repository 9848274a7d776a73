"""How much memory there is, and whether it is enough."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Bytes of the host's memory that this process may still take: of the machine, and of its control groups.

    Args:
        root: of the file system.
    """
    machine = root / "proc/meminfo"
    if not machine.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in machine.read_text().splitlines())
    return min([1024 * int(fields["MemAvailable"].split()[0]), *_left_in_groups(root)])


def require(who: str, parts: Mapping[str, int], advice: str) -> None:
    """Raise, before anything is computed, where something needs more memory than there is.

    Args:
        who: needs it, with the verb: ``2 heads need``.
        parts: bytes, by what they are for.
        advice: what to do.

    Raises:
        MemoryError: it is so.
    """
    needed, free = sum(parts.values()), available()
    if needed > free:
        shares = ", ".join(f"{size / 1e9:.1f} for {what}" for what, size in parts.items())
        raise MemoryError(f"{who} {needed / 1e9:.1f} GB ({shares}) and {free / 1e9:.1f} GB are free: {advice}")


def _left_in_groups(root: Path) -> Iterator[int]:
    """What the limits (version 2) leave of the process's group and of those that it lies in, as a cluster sets them."""
    own = root / "proc/self/cgroup"
    paths = [line.split(":", 2)[2] for line in own.read_text().splitlines()] if own.exists() else []
    top = root / "sys/fs/cgroup"
    for path in paths:
        lowest = top / path.strip("/")
        for group in [lowest, *lowest.parents]:
            if group.is_relative_to(top) and (group / "memory.max").exists():
                limit = (group / "memory.max").read_text().strip()
                if limit != "max":
                    yield int(limit) - _used(group)


def _used(group: Path) -> int:
    """Without the pages of files, which the kernel drops when it needs them."""
    statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / "memory.current").read_text()) - int(statistics["inactive_file"])
