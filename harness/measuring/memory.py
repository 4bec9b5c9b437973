"""How much memory can still be had: of the machine's, and of what control groups leave (containers' ``--memory``).

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current, memory.stat) and
cgroup-v1/memory.rst (memory.limit_in_bytes, memory.usage_in_bytes).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.measuring.control_groups import folders

# Limit, use, and the line of memory.stat with the cache of files that is given back before anything is refused.
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def available_mb() -> float:
    """MiB of memory that can be had without swapping and within the limits of control groups."""
    import psutil

    free = psutil.virtual_memory().available
    left = group_memory_left()
    return float(free if left is None else min(free, left)) / 2**20


def group_memory_left(system: Path = Path("/")) -> int | None:
    """Bytes that control groups leave this process; None without a limit, and where there are no groups.

    ``system`` stands for the root of the file system.
    """
    left = (_left(version, folder) for version, folder in folders("memory", system))
    return min((one for one in left if one is not None), default=None)


def _left(version: int, folder: Path) -> int | None:
    limit, use, cache = _FILES[version]
    with suppress(OSError, ValueError, KeyError):  # no such file in a group without the controller; "max": no limit
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        held = int((folder / use).read_text()) - int(stat[cache])
        return max(0, int((folder / limit).read_text()) - held)
    return None
