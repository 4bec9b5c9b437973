"""The rules of a race: who is at work when, which turns count, when it ends; not what turns are made of."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from statistics import median
from typing import Protocol

from harness.worker.reports import Disturbance, Turn
from harness.worker.timing import Clock
from results.openings import LEAST_OPENINGS
from results.race import BUSIEST, Ended, Race, Racer
from results.record import bounded

TURN_S = 0.3
DISTURBED_SHARE = 0.1
"""Share of the machine's CPU time, stolen or used by others, beyond which a turn does not count.

The kernel counts in ticks of 10 ms, 1.7 % of a turn on two processors: a tick more or less decides nothing.
"""
ATTEMPTS = 3
"""How often a turn is made in one round until it counts."""
MOST_OPENINGS = 5
OPENING_SHARE = 2.0
"""Of the budget: there are no more openings than take so long in all, but LEAST_OPENINGS."""


class OutOfRace(Exception):
    """An entrant cannot go on; the message says why."""


class Entrant(Protocol):
    """One that makes turns when told to, and stands still in between."""

    def turn(self, seconds: float) -> Turn:
        """Train for about so long. Raises OutOfRace."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How near every interval is to come to its ratio, and how many seconds the turns may take; opening is beside.

    There are ``openings`` at most. From LEAST_OPENINGS on the race ends with the opening after which it is ``enough``.
    """

    target: float = 0.05
    budget_s: float = 60.0
    turn_s: float = TURN_S
    share: float = DISTURBED_SHARE
    openings: int = MOST_OPENINGS
    enough: Callable[[Race], bool] = attrgetter("precise")


class Stable(Protocol):
    """Where entrants come from."""

    def opening(self, course: Course) -> Generator[tuple[Mapping[int, Entrant], float]]:
        """Open those still in the race anew, in one group or several, each with its share of the opening's turns.

        Entrants are named by their places, the baseline is in every group. When the next is asked for, or the
        generator closed, those of the last are ended. Who cannot be opened is told to ``course.out``.
        """


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
Usage = Callable[[], Mapping[int, tuple[str, float]]]
"""The names of others' commands and the seconds of CPU time that they have used so far, by process."""


class Course:
    """A race under way. ``start`` says what is raced and who takes part; ``standing`` is the race so far."""

    def __init__(
        self, start: Race, rules: Rules, *, seed: int = 0, clock: Clock = time.monotonic, usage: Usage = dict
    ) -> None:
        self._start = start
        self._rules = rules
        self._clock = clock
        self._random = random.Random(seed)
        self._entries = [_Entry(racer, None, error=racer.error) for racer in start.racers]
        self._seconds = 0.0
        self._openings: list[int] = []
        self._usage = usage
        self._used: defaultdict[str, float] = defaultdict(float)  # in rounds that had disturbed turns
        self._ended: Ended = "interrupted"

    @property
    def standing(self) -> Race:
        """The race so far."""
        racers = tuple(entry.standing for entry in self._entries)
        return self._start.model_copy(
            update={
                "racers": racers,
                "seconds": self._seconds,
                "ended": self._ended,
                "openings": tuple(self._openings) or (0,),
                "busiest": _busiest(self._used),
            }
        )

    def opened(self, place: int, version: str) -> None:
        """The racer at this place is ready, with its framework in this version."""
        entry = self._entries[place]
        entry.racer = entry.racer.model_copy(update={"framework_version": version})

    def out(self, place: int, why: str) -> None:
        """The racer at this place takes no part."""
        self._entries[place].error = bounded(why)

    def left(self) -> list[int]:
        """The places of those still in the race."""
        return [place for place, entry in enumerate(self._entries) if entry.error is None]

    def race(self, stable: Stable, listen: Listen) -> None:
        """Opening after opening until the rules have enough, or the budget is spent.

        ``listen`` hears of every opening and of every round. Each opening has an equal part of the budget that is left.
        """
        begun = self._clock()
        for number in range(self._rules.openings):
            self._openings.append(len(self._entries[0].rates))
            listen(self.standing)
            with closing(stable.opening(self)) as groups:
                part: float | None = None
                for entrants, share in groups:
                    if part is None:
                        part = (self._rules.budget_s - self._seconds) / (self._planned(number + 1, begun) - number)
                    self._run(entrants, listen, part * share)
            if not self._can_go_on():
                self._ended = "failed"
                return
            if number + 1 >= LEAST_OPENINGS and self._rules.enough(self.standing):
                self._ended = "precision"
                return
            if self._seconds >= self._rules.budget_s:
                break
        self._ended = "budget"

    def _planned(self, opened: int, begun: float) -> int:
        """How many openings there are to be, by how long they took so far."""
        each = (self._clock() - begun - self._seconds) / opened
        fit = int(OPENING_SHARE * self._rules.budget_s / each) if each > 0 else self._rules.openings
        return max(min(fit, self._rules.openings), LEAST_OPENINGS, opened)

    def _can_go_on(self) -> bool:
        left = self.left()
        return self._start.baseline in left and len(left) > 1

    def _run(self, entrants: Mapping[int, Entrant], listen: Listen, seconds: float) -> None:
        """Rounds of a group."""
        before, begun = self._seconds, self._clock()
        while self._clock() < begun + seconds:
            racing = [place for place in entrants if self._entries[place].error is None]
            if self._start.baseline not in racing or len(racing) < 2:
                return
            used, disturbed = self._usage(), self._disturbed
            self._round(racing, entrants, begun + seconds)
            self._seconds = before + self._clock() - begun
            if self._disturbed > disturbed:
                for process, (name, seconds_used) in self._usage().items():
                    self._used[name] += max(0.0, seconds_used - used.get(process, ("", 0.0))[1])
            listen(self.standing)

    @property
    def _disturbed(self) -> int:
        return sum(len(entry.taken) for entry in self._entries)

    def _round(self, racing: Sequence[int], entrants: Mapping[int, Entrant], end: float) -> None:
        """A turn of each in a random order; those that were disturbed have another one after the others.

        No turn is made again after the end. What was begun is finished: a part of a round compares nothing.
        """
        for entry in self._entries:
            entry.rates.append(None)
        waiting = list(racing)
        for attempt in range(ATTEMPTS):
            self._random.shuffle(waiting)
            again = []
            for place in waiting:
                if attempt and self._clock() >= end:
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


def _busiest(used: Mapping[str, float]) -> tuple[str, ...]:
    """Who used most; not those who used little beside them."""
    most = sorted(used.items(), key=itemgetter(1), reverse=True)[:BUSIEST]
    return tuple(name for name, seconds in most if seconds > 0.1 * most[0][1])


def taken_by_others(disturbance: Disturbance) -> float | None:
    """The share of the machine's CPU time that was stolen or used by others; None where the kernel does not tell."""
    if disturbance.other_cpu is None:
        return None
    return min(1.0, disturbance.other_cpu + (disturbance.steal or 0.0))
