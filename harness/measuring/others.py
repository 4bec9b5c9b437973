"""What the rest of the machine does while workers are measured."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

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
