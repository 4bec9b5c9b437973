"""What the rest of the machine does while workers are measured."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from harness.worker.system import Counters


def counters(workers: Iterable[int]) -> Counters:
    """Those of the machine, with the CPU time of the workers (process ids) counted as this process's own."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    workers_s = ended.ru_utime + ended.ru_stime
    for pid in workers:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            workers_s += times.user + times.system
    now = Counters.now()
    return replace(now, own_s=now.own_s + workers_s)


def used_by_command(proc: Path = Path("/proc")) -> dict[str, float]:
    """Seconds of CPU time that processes use that are neither this one nor started by it, by their commands' names.

    The name alone, as the kernel has it (15 characters): arguments may hold what is nobody's business.
    """
    own = os.getpid()
    used: dict[str, float] = {}
    for file in proc.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it has just ended
            pid, _, rest = file.read_bytes().decode(errors="replace").partition(" (")
            name, _, fields = rest.rpartition(") ")
            parent, ticks = int(fields.split()[1]), sum(map(int, fields.split()[11:13]))
            if own not in (int(pid), parent):
                used[name] = used.get(name, 0.0) + ticks / os.sysconf("SC_CLK_TCK")
    return used
