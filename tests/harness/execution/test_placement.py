"""Placement against a fake cluster with a fake clock: nothing lost, nothing twice, little time wasted."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from harness.execution.placement import MOST_LOSSES, Job, Placement

MACHINES = 100
UNITS = 10_000


@dataclass
class FakeCluster:
    """Machines that carry out units in a time of its own, and disappear now and then in the midst of one."""

    placement: Placement[int]
    takes: list[float]
    seed: int
    mean_up_s: float = float("inf")
    down_s: float = 0.0
    now: float = 0.0
    up_s: float = 0.0
    outcomes: Counter[int] = field(default_factory=Counter)
    wasted_s: float = 0.0
    losses: int = 0
    idle: set[str] = field(default_factory=set)

    def run(self, machines: int) -> None:
        """Until all is done."""
        self.random = random.Random(self.seed)
        self.events: list[tuple[float, int, str, str, int | None]] = []
        self.lives: Counter[str] = Counter()
        self.begun: dict[str, float] = {}
        self.there: set[str] = set()
        for number in range(machines):
            self._join(f"machine-{number}")
        while not self.placement.done:
            before = self.now
            self.now, life, what, machine, key = heapq.heappop(self.events)
            self.up_s += (self.now - before) * len(self.there)
            if what == "join":
                self._join(machine)
            elif life == self.lives[machine]:
                self._lose(machine) if what == "lose" else self._finish(machine, key)
            for idle in sorted(self.idle):
                self._begin(idle)

    def _later(self, seconds: float, what: str, machine: str, key: int | None = None) -> None:
        heapq.heappush(self.events, (self.now + seconds, self.lives[machine], what, machine, key))

    def _join(self, machine: str) -> None:
        self.there.add(machine)
        self.placement.joined(machine, f"kind-{int(machine.rpartition('-')[2]) % 3}")
        if self.mean_up_s < float("inf"):
            self._later(self.random.expovariate(1 / self.mean_up_s), "lose", machine)
        self._begin(machine)

    def _begin(self, machine: str) -> None:
        key = self.placement.next(machine)
        (self.idle.discard if key is not None else self.idle.add)(machine)
        if key is not None:
            assert list(self.placement.at_work.values()).count(key) == 1, "on two machines at once"
            assert self.outcomes[key] == 0, "begun again after it was done"
            self.begun[machine] = self.now
            self._later(self.takes[key], "finish", machine, key)

    def _finish(self, machine: str, key: int | None) -> None:
        assert key is not None
        assert self.placement.finished(machine, key)
        self.outcomes[key] += 1
        self._begin(machine)

    def _lose(self, machine: str) -> None:
        self.there.discard(machine)
        self.idle.discard(machine)
        self.lives[machine] += 1
        key = self.placement.lost(machine)
        if key is not None:
            self.losses += 1
            self.wasted_s += self.now - self.begun[machine]
            assert not self.placement.finished(machine, key), "what a lost machine says afterwards does not count"
        self._later(self.down_s, "join", machine)


def study(seed: int, *, spread: float = 1.0) -> tuple[list[float], list[float]]:
    """What units take, of 40 cases from seconds to an hour in 250 rounds, and what they were estimated to take."""
    generator = random.Random(seed)
    cases = [60 * generator.lognormvariate(0, spread) for _ in range(40)]
    takes = [seconds * generator.uniform(0.8, 1.25) for _ in range(UNITS // 40) for seconds in cases]
    guessed = [seconds * generator.lognormvariate(0, 0.3) for seconds in cases]
    return takes, [guessed[number % 40] for number in range(UNITS)]


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_machines_that_fail_carry_out_ten_thousand_units(seed: int) -> None:
    takes, estimates = study(seed)
    placement = Placement(Job(key=number, seconds=seconds) for number, seconds in enumerate(estimates))
    cluster = FakeCluster(placement, takes, seed, mean_up_s=2 * 3600, down_s=300)
    cluster.run(MACHINES)
    assert cluster.losses > 50
    assert cluster.outcomes == Counter(range(UNITS)), "every unit exactly once"
    assert placement.given_up == ()
    machines_up = cluster.up_s / cluster.now
    bound = max(sum(takes) / machines_up, *takes)
    assert cluster.now <= 1.10 * bound
    print(f"seed {seed}: {cluster.losses} losses, makespan {cluster.now / bound:.4f} of the bound")


@pytest.mark.parametrize("order", ["longest last", "one giant"])
def test_the_end_does_not_wait_for_a_long_unit_that_was_given_late(order: str) -> None:
    takes = sorted(study(7)[0][:400]) if order == "longest last" else [10.0] * 399 + [380.0]
    placement = Placement(Job(key=number, seconds=seconds) for number, seconds in enumerate(takes))
    cluster = FakeCluster(placement, takes, 0)
    cluster.run(10)
    assert cluster.now <= 1.10 * max(sum(takes) / 10, *takes)


def test_rounds_stay_interleaved_while_nothing_waits_for_a_long_unit() -> None:
    placement = Placement(Job(key=number, seconds=1 + number % 4) for number in range(40))
    for machine in ("a", "b"):
        placement.joined(machine, "kind")
    begun = []
    for _ in range(15):
        for machine in ("a", "b"):
            begun.append(key := placement.next(machine))
            assert key is not None
            assert placement.finished(machine, key)
    assert begun == list(range(30))


def test_a_round_that_was_begun_on_one_kind_of_machine_is_finished_on_it_while_there_is_one() -> None:
    placement = Placement([Job(key="at home", seconds=1, home="big"), Job(key="anywhere", seconds=1)])
    placement.joined("small machine", "small")
    placement.joined("big machine", "big")
    assert placement.next("small machine") == "anywhere"
    assert placement.finished("small machine", "anywhere")
    assert placement.next("small machine") is None
    placement.lost("big machine")
    assert placement.next("small machine") == "at home"


def test_a_unit_that_loses_every_machine_is_given_up_and_a_machine_that_loses_every_unit_gets_no_more() -> None:
    placement = Placement([Job(key="deadly", seconds=1), Job(key="harmless", seconds=1)])
    for number in range(MOST_LOSSES):
        placement.joined(f"machine-{number}", "kind")
        assert placement.next(f"machine-{number}") == "deadly"
        assert placement.lost(f"machine-{number}") == "deadly"
    assert placement.given_up == ("deadly",)
    placement.joined("fresh", "kind")
    assert placement.next("fresh") == "harmless"
    assert placement.finished("fresh", "harmless")
    assert placement.done

    placement = Placement(Job(key=number, seconds=1) for number in range(10))
    for _ in range(MOST_LOSSES):
        placement.joined("flaky", "kind")
        assert placement.next("flaky") is not None
        placement.lost("flaky")
    placement.joined("flaky", "kind")
    assert placement.worn_out("flaky")
    assert placement.next("flaky") is None
    assert placement.given_up == (), "by one machine alone no unit is condemned"
