"""The machine and the code a run was made with."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

from harness.measuring.quota import cpu_quota
from results.record import MachineRecord
from specs.program import CODE, VERSION

_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def available_cpus() -> int:
    """Logical CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def default_threads() -> int:
    """As many threads as can run all the time: a CPU each, and no more than a quota of their time covers.

    A quota is rounded down, to 1 at the least: beyond it the kernel stops all threads for a part of every period.
    """
    quota = cpu_quota()
    return available_cpus() if quota is None else max(1, min(available_cpus(), int(quota)))


@cache
def machine() -> MachineRecord:
    """What does not change between runs."""
    import psutil

    return MachineRecord(
        cpu=cpu_name(),
        cores=available_cpus(),
        cpu_quota=cpu_quota(),
        ram_mb=psutil.virtual_memory().total / 2**20,
        os=platform.platform(),
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.is_file() else None,
        git_commit=_git_commit(),
    )


def cpu_name() -> str | None:
    """The processor's model name; read from the kernel because py-cpuinfo takes a second, more than a short run."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def instruction_sets() -> str:
    """The processor's vector and matrix instructions, by which libraries choose their kernels: "avx avx2 fma"."""
    if not _CPUINFO.is_file():
        return platform.machine()
    lines = _CPUINFO.read_text().splitlines()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return " ".join(sorted(flag for flag in flags if flag.startswith(("avx", "amx", "fma", "sse", "asimd", "sve"))))


def _git_commit() -> str | None:
    """The commit of the harness's own checkout, with "-dirty" when files differ from it; of another, its version."""
    if not (CODE / ".git").exists():
        return f"v{VERSION}"
    command = ["git", "-C", str(CODE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
