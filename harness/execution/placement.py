"""Which machine does what: decisions alone, without clock, process or network, so that a simulation can try them.

A machine has one unit at a time. What it had when it disappeared goes to the front of those that wait, and what it says
of that unit afterwards no longer counts: of each unit exactly one outcome does. Units are taken in the order in which
they were given, rounds interleaved, until the longest would make the end wait for it: from then on the longest goes
first (Graham 1969).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

MOST_LOSSES = 3
"""How many different machines a unit may lose before it is given up, and how many times in a row a machine may fail."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Job(Generic[K]):
    """A unit as placement sees it: ``seconds`` are an estimate; ``home`` is the fingerprint of the machine that other
    runs of its round were made on: no other gets it while that one is there.
    """

    key: K
    seconds: float
    home: str | None = None


class Placement(Generic[K]):
    """The state of all units and machines; machines are called by a name that no two have at one time."""

    def __init__(self, jobs: Iterable[Job[K]]) -> None:
        self._jobs = {job.key: job for job in jobs}
        self._order = {key: place for place, key in enumerate(self._jobs)}
        self._waiting = list(self._jobs)
        self._by_length = sorted(self._jobs, key=lambda key: -self._jobs[key].seconds)
        self._seconds_waiting = sum(job.seconds for job in self._jobs.values())
        self._fingerprints: dict[str, str] = {}
        self._at_work: dict[str, K] = {}
        self._losses: dict[K, set[str]] = {}
        self._strikes: dict[str, int] = {}
        self._finished: set[K] = set()
        self._given_up: list[K] = []

    @property
    def done(self) -> bool:
        """Whether every unit has its outcome or was given up."""
        return len(self._finished) + len(self._given_up) == len(self._jobs)

    @property
    def given_up(self) -> tuple[K, ...]:
        """The units that MOST_LOSSES machines disappeared under."""
        return tuple(self._given_up)

    @property
    def at_work(self) -> Mapping[str, K]:
        """Which unit each machine has that has one."""
        return self._at_work

    @property
    def machines(self) -> tuple[str, ...]:
        """Those that are there."""
        return tuple(self._fingerprints)

    @property
    def seconds_left(self) -> float:
        """What is not finished, shared evenly by the machines that are there, by the estimates."""
        open_ = self._seconds_waiting + sum(self._jobs[key].seconds for key in self._at_work.values())
        return open_ / max(1, len(self._fingerprints))

    def joined(self, machine: str, fingerprint: str) -> None:
        """A machine is there and can do whatever there is to do."""
        self._fingerprints[machine] = fingerprint

    def next(self, machine: str) -> K | None:
        """The unit that the machine is to begin now; None where none is for it, or it has one."""
        if machine not in self._fingerprints or machine in self._at_work or self.worn_out(machine):
            return None
        key = self._chosen(self._fingerprints[machine])
        if key is not None:
            self._waiting.remove(key)
            self._by_length.remove(key)
            self._seconds_waiting -= self._jobs[key].seconds
            self._at_work[machine] = key
        return key

    def finished(self, machine: str, key: K) -> bool:
        """The machine has an outcome of the unit; whether it counts: not where the unit was taken from it before."""
        if self._at_work.get(machine) != key:
            return False
        del self._at_work[machine]
        self._strikes.pop(machine, None)
        self._finished.add(key)
        return True

    def lost(self, machine: str) -> K | None:
        """The machine has disappeared, or did not carry out what it was given; the unit that was taken from it."""
        self._fingerprints.pop(machine, None)
        key = self._at_work.pop(machine, None)
        if key is None:
            return None
        self._strikes[machine] = self._strikes.get(machine, 0) + 1
        lost = self._losses.setdefault(key, set())
        lost.add(machine)
        if len(lost) >= MOST_LOSSES:
            self._given_up.append(key)
        else:
            self._waiting.insert(0, key)
            self._seconds_waiting += self._jobs[key].seconds
            self._by_length.append(key)
            self._by_length.sort(key=lambda other: (-self._jobs[other].seconds, self._order[other]))
        return key

    def worn_out(self, machine: str) -> bool:
        """Whether the machine disappeared MOST_LOSSES times without finishing a unit in between: it gets no more."""
        return self._strikes.get(machine, 0) >= MOST_LOSSES

    def _chosen(self, fingerprint: str) -> K | None:
        there = set(self._fingerprints.values())

        def may(key: K) -> bool:
            home = self._jobs[key].home
            return home is None or home == fingerprint or home not in there

        longest = next(filter(may, self._by_length), None)
        if longest is not None and self._jobs[longest].seconds >= self._seconds_waiting / len(self._fingerprints):
            return longest
        return next(filter(may, self._waiting), None)
