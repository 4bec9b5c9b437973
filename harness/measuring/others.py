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


def used_by_others(proc: Path = Path("/proc")) -> dict[int, tuple[str, float]]:
    """The command's name and the seconds of CPU time of each process that is neither this one nor started by it.

    The name alone, as the kernel has it (15 characters): arguments may hold what is nobody's business. It is no key: a
    kernel thread is called by what it does at the moment.
    """
    own = os.getpid()
    used: dict[int, tuple[str, float]] = {}
    for file in proc.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it has just ended
            pid, _, rest = file.read_bytes().decode(errors="replace").partition(" (")
            name, _, fields = rest.rpartition(") ")
            parent, ticks = int(fields.split()[1]), sum(map(int, fields.split()[11:13]))
            if own not in (int(pid), parent):
                used[int(pid)] = name, ticks / os.sysconf("SC_CLK_TCK")
    return used
