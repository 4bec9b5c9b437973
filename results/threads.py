"""Whether a run did as it was told with its threads."""

from __future__ import annotations

import math

EXCEEDED = 1.25
IDLE = 0.6
"""Threads as a share of those allowed, beyond which a backend does not do as told."""


def exceeded(allowed: int, *counts: float | None) -> float | None:
    """The largest of what was counted, where it is more than so many threads explain; NaN and None do not count.

    A worker may only use as many CPUs as it is allowed threads, so that a backend with too many seldom shows in CPU
    time alone: what it wanted, its threads that ran or waited for a CPU, is counted too.
    """
    most = max((count for count in counts if count is not None and not math.isnan(count)), default=0.0)
    return most if most > EXCEEDED * allowed else None
