"""How long something takes beside something else on the same machine: no test asserts on seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def costs_at_most(factor: float, action: Callable[[], object], yardstick: Callable[[], object]) -> None:
    """``action`` takes at most ``factor`` times the CPU time of ``yardstick``, in the best of nine pairs.

    Ratios of one and the same code were seen to differ by half on shared machines, several in a row: factors leave room
    for that. They guard against code that grows with the square of its input, not against a tenth; the seconds are for
    a bench. What earlier tests left in memory is kept from the garbage collector, which once took longer over it than
    the action.
    """
    gc.collect()
    gc.freeze()
    try:
        _compare(factor, action, yardstick)
    finally:
        gc.unfreeze()


def _compare(factor: float, action: Callable[[], object], yardstick: Callable[[], object]) -> None:
    ratios = []
    for _ in range(9):
        seconds = []
        for timed in (yardstick, action):
            started = time.process_time()
            timed()
            seconds.append(time.process_time() - started)
        ratios.append(seconds[1] / seconds[0])
        if ratios[-1] <= factor:
            return
    raise AssertionError(
        f"took {', '.join(f'{ratio:.2f}' for ratio in ratios)} times the yardstick, at most {factor:g}"
    )
