"""The machine and the code a run was made with."""

from __future__ import annotations

import hashlib
import hmac
import os
import platform
import re
import subprocess
from collections import Counter
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
        machine_id=machine_id(),
        cpu=cpu_name(),
        instruction_sets=instruction_sets(),
        gpu=gpus(),
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


def gpus(system: Path = Path("/")) -> str | None:
    """The GPUs by NVIDIA's driver, "NVIDIA H200" or "2 x NVIDIA H200"; None where it shows none.

    ``system`` stands for the root of the file system.
    """
    files = sorted((system / "proc/driver/nvidia/gpus").glob("*/information"))
    lines = (line for file in files for line in file.read_text().splitlines())
    counts = Counter(line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items()) or None


def machine_id(system: Path = Path("/")) -> str | None:
    """12 hexadecimal digits that tell this machine from its like; None where the system has no id, as in a container.

    A digest keyed with /etc/machine-id, as machine-id(5) asks: the id itself is confidential.
    """
    file = system / "etc/machine-id"
    own = file.read_text().strip() if file.is_file() else ""
    if not re.fullmatch("[0-9a-f]{32}", own):
        return None
    return hmac.new(bytes.fromhex(own), b"framework-harness", hashlib.sha256).hexdigest()[:12]


def _git_commit() -> str | None:
    """The commit of the harness's own checkout, with "-dirty" when files differ from it; of another, its version.

    None where git does not say, or not in time on a busy machine: no run is lost for that.
    """
    if not (CODE / ".git").exists():
        return f"v{VERSION}"
    command = ["git", "-C", str(CODE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
