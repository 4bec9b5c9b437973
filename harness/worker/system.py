"""Counters of what a run and the rest of the machine did while it was measured; light enough for a worker."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from harness.worker.reports import Disturbance

_STAT = Path("/proc/stat")
_TASKS = Path("/proc/self/task")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LEAST_TICKS = 20
"""Of the kernel's clock, over all processors, in which one more or less is 5 % and decides nothing."""
# Columns of the first line of /proc/stat (proc(5)).
_IDLE, _IOWAIT, _STEAL = 3, 4, 7


@dataclass(frozen=True)
class Counters:
    """Seconds of CPU time since a start: of the machine in all, busy and stolen, and of this process.

    The machine's are None where the kernel does not tell.
    """

    total_s: float | None
    busy_s: float | None
    steal_s: float | None
    own_s: float
    involuntary_context_switches: int

    @classmethod
    def now(cls) -> Counters:
        """Read them."""
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        own = time.process_time()
        try:
            ticks = [int(value) for value in _STAT.read_text().splitlines()[0].split()[1:9]]
            idle, steal = ticks[_IDLE] + ticks[_IOWAIT], ticks[_STEAL]
        except (OSError, ValueError, IndexError):
            return cls(None, None, None, own, switches)
        total = sum(ticks)
        return cls(total * _TICK_S, (total - idle - steal) * _TICK_S, steal * _TICK_S, own, switches)

    def since(self, before: Counters) -> Disturbance:
        """Between two readings: shares of the machine's CPU time stolen and used by others, and context switches.

        No shares of less than LEAST_TICKS.
        """
        switches = self.involuntary_context_switches - before.involuntary_context_switches
        if self.total_s is None or before.total_s is None:
            return Disturbance(involuntary_context_switches=switches)
        if self.total_s - before.total_s > (LEAST_TICKS - 0.5) * _TICK_S:
            assert self.busy_s is not None and before.busy_s is not None
            assert self.steal_s is not None and before.steal_s is not None
            total = self.total_s - before.total_s
            others = (self.busy_s - before.busy_s) - (self.own_s - before.own_s)
            # Ticks are coarse, and the kernel's count of waiting for input and output may go back (proc(5)).
            return Disturbance(
                steal=min(1.0, max(0.0, (self.steal_s - before.steal_s) / total)),
                other_cpu=min(1.0, max(0.0, others / total)),
                involuntary_context_switches=switches,
            )
        return Disturbance(involuntary_context_switches=switches)


@dataclass(frozen=True)
class ThreadTimes:
    """Seconds that each thread of this process has run or waited for a CPU, by its id; None where it is not told.

    Waiting counts because threads that are confined to fewer CPUs than there are threads show in CPU time as no more
    than those CPUs, while another process on the same CPU makes one thread's running and waiting no more than one.
    """

    wanted_s: dict[str, float] | None

    @classmethod
    def now(cls) -> ThreadTimes:
        """Read them from /proc/self/task/*/schedstat (Linux: nanoseconds run, nanoseconds waited, time slices)."""
        wanted = {}
        try:
            for task in _TASKS.iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                    ran, waited, _ = (task / "schedstat").read_text().split()
                    wanted[task.name] = (int(ran) + int(waited)) / 1e9
        except (OSError, ValueError):
            return cls(None)
        return cls(wanted or None)

    def since(self, before: ThreadTimes) -> float | None:
        """Seconds between two readings, over all threads that are still there."""
        if self.wanted_s is None or before.wanted_s is None:
            return None
        return sum(max(0.0, seconds - before.wanted_s.get(task, 0.0)) for task, seconds in self.wanted_s.items())
