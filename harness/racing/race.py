"""The rules of a race: who is at work when, which turns count, when it ends; not what turns are made of."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from harness.worker.reports import Disturbance, Turn
from harness.worker.timing import Clock
from results.race import Ended, Race, Racer, near
from results.record import bounded

TURN_S = 0.3
DISTURBED_SHARE = 0.1
"""Share of the machine's CPU time, stolen or used by others, beyond which a turn does not count.

The kernel counts in ticks of 10 ms, 1.7 % of a turn on two processors: a tick more or less decides nothing.
"""
ATTEMPTS = 3
"""How often a turn is made in one round until it counts."""


class OutOfRace(Exception):
    """An entrant cannot go on; the message says why."""


class Entrant(Protocol):
    """One that makes turns when told to, and stands still in between."""

    def turn(self, seconds: float) -> Turn:
        """Train for about so long. Raises OutOfRace."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How near every interval is to come to its ratio, and how long that may take, in seconds of turns."""

    target: float = 0.05
    budget_s: float = 60.0
    turn_s: float = TURN_S
    share: float = DISTURBED_SHARE


@dataclass
class _Entry:
    racer: Racer
    entrant: Entrant | None
    rates: list[float | None] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    error: str | None = None

    @property
    def standing(self) -> Racer:
        return self.racer.model_copy(
            update={
                "rates": tuple(self.rates),
                "disturbed": len(self.taken),
                "taken": median(self.taken) if self.taken else None,
                "error": self.error,
            }
        )


Listen = Callable[[Race], None]


class Course:
    """A race under way. ``start`` says what is raced and who takes part; ``standing`` is the race so far."""

    def __init__(self, start: Race, rules: Rules, *, seed: int = 0, clock: Clock = time.monotonic) -> None:
        self._start = start
        self._rules = rules
        self._clock = clock
        self._random = random.Random(seed)
        self._entries = [_Entry(racer, None, error=racer.error) for racer in start.racers]
        self._seconds = 0.0
        self._ended: list[Ended] = []  # of each call of run

    @property
    def standing(self) -> Race:
        """The race so far."""
        racers = tuple(entry.standing for entry in self._entries)
        return self._start.model_copy(update={"racers": racers, "seconds": self._seconds, "ended": self._outcome()})

    def _outcome(self) -> Ended:
        for worst in ("failed", "budget"):
            if worst in self._ended:
                return worst
        return "precision" if self._ended else "interrupted"

    def opened(self, place: int, version: str) -> None:
        """The racer at this place is ready, with its framework in this version."""
        entry = self._entries[place]
        entry.racer = entry.racer.model_copy(update={"framework_version": version})

    def out(self, place: int, why: str) -> None:
        """The racer at this place takes no part."""
        self._entries[place].error = bounded(why)

    def run(self, entrants: Mapping[int, Entrant], listen: Listen, *, budget_s: float) -> None:
        """Rounds of some of the racers, by their places among all and the baseline with them, for so many seconds.

        It ends before that once the interval of every ratio is as near as the rules want it. ``listen`` hears of every
        round.
        """
        base = self._start.baseline
        end = self._clock() + budget_s
        before, begun = self._seconds, self._clock()
        while self._clock() < end:
            racing = [place for place in entrants if self._entries[place].error is None]
            if base not in racing or len(racing) < 2:
                self._ended.append("failed")
                return
            self._round(racing, entrants, end)
            self._seconds = before + self._clock() - begun
            standing = self.standing
            listen(standing)
            left = [standing.racers[place] for place in racing if place != base]
            left = [racer for racer in left if racer.error is None]
            if left and all(near(standing.ratio(racer), self._rules.target) for racer in left):
                self._ended.append("precision")
                return
        self._ended.append("budget")

    def _round(self, racing: Sequence[int], entrants: Mapping[int, Entrant], end: float) -> None:
        """A turn of each in a random order; those that were disturbed have another one after the others."""
        for entry in self._entries:
            entry.rates.append(None)
        waiting = list(racing)
        for _ in range(ATTEMPTS):
            self._random.shuffle(waiting)
            again = []
            for place in waiting:
                if self._clock() >= end:
                    return
                if not self._quiet(self._entries[place], entrants[place]):
                    again.append(place)
            waiting = again

    def _quiet(self, entry: _Entry, entrant: Entrant) -> bool:
        """Make a turn; False where it was disturbed."""
        try:
            turn = entrant.turn(self._rules.turn_s)
        except OutOfRace as reason:
            entry.error = bounded(str(reason))
            return True
        taken = taken_by_others(turn.disturbance)
        if taken is not None and taken > self._rules.share:
            entry.taken.append(taken)
            return False
        entry.rates[-1] = turn.samples / turn.seconds
        return True


def taken_by_others(disturbance: Disturbance) -> float | None:
    """The share of the machine's CPU time that was stolen or used by others; None where the kernel does not tell."""
    if disturbance.other_cpu is None:
        return None
    return min(1.0, disturbance.other_cpu + (disturbance.steal or 0.0))
