"""Timing calls in turn, with a clock that the calls themselves move."""

from __future__ import annotations

import gc
from collections.abc import Callable

from harness.worker.timing import in_turn


class Clock:
    """Time passes only when a call says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made: list[str] = []

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call of that name; it takes the first of ``seconds``, then the next, and the last from then on."""
        left = list(seconds)

        def run() -> None:
            assert not gc.isenabled()
            self.made.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_calls_take_turns_until_the_time_is_up() -> None:
    clock = Clock()
    times = in_turn([clock.call("a", 0.25), clock.call("b", 0.5)], settle_s=0, seconds=2.0, clock=clock)
    assert times == [[0.25] * 3, [0.5] * 3]
    assert "".join(clock.made) == "ababab"
    assert gc.isenabled()


def test_what_begins_while_settling_does_not_count() -> None:
    clock = Clock()
    times = in_turn([clock.call("a", 0.5, 0.5, 0.125)], settle_s=1.0, seconds=0.25, clock=clock)
    assert times == [[0.125, 0.125]]
    assert len(clock.made) == 4


def test_each_is_made_once_at_the_least_and_a_long_call_counts_at_once() -> None:
    clock = Clock()
    assert in_turn([clock.call("a", 0.001)], settle_s=0, seconds=0, clock=clock)[0] != []
    assert in_turn([clock.call("a", 60.0)], settle_s=1.0, seconds=0.1, clock=clock) == [[60.0]]
