"""How much processor time control groups let this process use: containers' ``--cpus``.

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cpu.cfs_quota_us).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.measuring.control_groups import folders


def cpu_quota(system: Path = Path("/")) -> float | None:
    """Processors' worth of time this process may use, 1.5 say; None without a quota, and where there are no groups.

    ``system`` stands for the root of the file system.
    """
    quotas = (_quota(version, folder) for version, folder in folders("cpu", system))
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(version: int, folder: Path) -> float | None:
    with suppress(OSError, ValueError):  # no such file in a group without the controller; "max" and -1: no quota
        if version == 2:
            quota, period = map(int, (folder / "cpu.max").read_text().split())
        else:
            quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        if quota > 0 and period > 0:
            return quota / period
    return None
