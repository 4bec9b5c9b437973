"""What the kernel is asked to enforce on a worker, and how it says that it did."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, even by SIGKILL; nothing beyond Linux offers it."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def limit_memory(megabytes: int) -> None:
    """Let this process have at most so many MiB of private writable memory (RLIMIT_DATA).

    Address space would be the wrong measure: frameworks reserve far more than they touch.
    """
    size = megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def oom_kills() -> int | None:
    """How many processes the kernel's out-of-memory killer has ended since boot; None where it does not tell."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return None
