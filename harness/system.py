"""Counters of what else the machine was doing while a run was measured; light enough for a worker."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STAT = Path("/proc/stat")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
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

    def since(self, before: Counters) -> dict[str, Any]:
        """Between two readings: shares of the machine's CPU time stolen and used by others, and context switches."""
        shares: dict[str, Any] = {"steal": None, "other_cpu": None}
        if self.total_s is not None and before.total_s is not None and self.total_s > before.total_s:
            assert self.busy_s is not None and before.busy_s is not None
            assert self.steal_s is not None and before.steal_s is not None
            total = self.total_s - before.total_s
            others = (self.busy_s - before.busy_s) - (self.own_s - before.own_s)
            shares = {
                "steal": (self.steal_s - before.steal_s) / total,
                "other_cpu": min(1.0, max(0.0, others / total)),  # ticks are coarse
            }
        return {
            **shares,
            "involuntary_context_switches": self.involuntary_context_switches - before.involuntary_context_switches,
        }
