"""Timing calls against each other inside one process: in turn, so that drift of the machine falls on all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Clock = Callable[[], float]

SETTLED_SHARE = 0.1
"""A turn that outlasts the settling so much that it is at most this share of it counts all the same."""


def in_turn(
    calls: Sequence[Callable[[], object]], *, settle_s: float, seconds: float, clock: Clock = time.perf_counter
) -> list[list[float]]:
    """Seconds of each of ``calls``, made in turn (A B A B) for ``seconds`` of counted turns, and once at the least.

    Turns that begin within the first ``settle_s`` are made and not counted: caches are cold, and threads of what ran
    before may still be spinning. Calls must return only when their work is done. Garbage is collected first, then not
    until the end.
    """
    times: list[list[float]] = [[] for _ in calls]
    counted_s = 0.0
    with quiet_garbage_collection():
        begin = clock()
        while counted_s < seconds or not times[0]:
            turn, taken = clock(), []
            for call in calls:
                start = clock()
                call()
                taken.append(clock() - start)
            if turn - begin >= settle_s or settle_s <= SETTLED_SHARE * sum(taken):
                counted_s += sum(taken)
                for own, new in zip(times, taken, strict=True):
                    own.append(new)
    return times


@contextmanager
def quiet_garbage_collection() -> Iterator[None]:
    """Collect now, then not until the end."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
