"""Races on a moved clock: entrants of known speed on a machine that drifts, with others at work when the test says."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Mapping
from typing import Any

from harness.racing.race import Course, Entrant, Rules
from harness.worker.reports import Disturbance, Turn
from results.race import Race, Racer

Others = Callable[[float], float]
"""The share of the machine that others take at a moment."""


class Machine:
    """A clock, a drift that falls on all alike, and others at work: what they take, they take of an entrant's speed."""

    def __init__(self, seed: int, others: Others = lambda moment: 0.0, noise: float = 0.03) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self._others = others
        self._noise = noise

    def clock(self) -> float:
        return self.now

    def turn(self, speed: float, seconds: float) -> Turn:
        taken = self._others(self.now)
        self.now += seconds + 0.05
        drift = 1 + 0.2 * math.sin(self.now / 7)
        rate = 10_000 * speed * drift * (1 - taken) * math.exp(self.random.gauss(0, self._noise))
        ticks = self.random.choice((0, 0, 0.017, 0.033))
        return Turn(
            samples=round(rate * seconds), seconds=seconds, disturbance=Disturbance(other_cpu=taken + ticks, steal=0.0)
        )


class Simulated:
    """An entrant of this speed."""

    def __init__(self, machine: Machine, speed: float) -> None:
        self._machine = machine
        self._speed = speed

    def turn(self, seconds: float) -> Turn:
        return self._machine.turn(self._speed, seconds)


def start(names: list[str], rules: Rules) -> Race:
    """A race of these, the first of them the baseline, before its first round."""
    return Race(
        started_at="2026-01-01T00:00:00Z", model="lenet5", dataset="digits", training="0" * 64, device="cpu",
        precision="float32", threads=2, baseline=0, turn_s=rules.turn_s, share=rules.share, target=rules.target,
        budget_s=rules.budget_s, seconds=0.0, ended="interrupted",
        racers=tuple(Racer(backend=name, manner="recommended") for name in names),
    )  # fmt: skip


class Openings:
    """Entrants made anew by every opening, which takes so long and gives each a speed of its own, ``spread`` apart.

    ``made`` makes those that are not just fast or slow; ``groups`` holds the rivals' places, group by group.
    """

    def __init__(
        self,
        machine: Machine,
        speeds: list[float],
        *,
        spread: float = 0.0,
        opening_s: float = 20.0,
        made: Mapping[int, Callable[[], Entrant]] | None = None,
        groups: list[list[int]] | None = None,
    ) -> None:
        self._machine = machine
        self._speeds = speeds
        self._spread = spread
        self._opening_s = opening_s
        self._made = made or {}
        self._groups = groups or [list(range(1, len(speeds)))]

    def opening(self, course: Course) -> Generator[tuple[Mapping[int, Entrant], float]]:
        self._machine.now += self._opening_s
        entrants = {place: self._entrant(place) for place in course.left()}
        for group in self._groups:
            yield {place: entrants[place] for place in (0, *group) if place in entrants}, 1 / len(self._groups)

    def _entrant(self, place: int) -> Entrant:
        if place in self._made:
            return self._made[place]()
        return Simulated(self._machine, self._speeds[place] * math.exp(self._machine.random.gauss(0, self._spread)))


def raced(speeds: dict[str, float], machine: Machine, rules: Rules, **openings: Any) -> Race:
    """The race of entrants of these speeds, the first of them the baseline."""
    course = Course(start(list(speeds), rules), rules, seed=machine.random.randrange(2**31), clock=machine.clock)
    course.race(Openings(machine, list(speeds.values()), **openings), lambda race: None)
    return course.standing
