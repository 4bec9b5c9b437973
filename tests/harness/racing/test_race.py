"""The rules of a race, on machines that are known because they are simulated."""

from __future__ import annotations

import pytest

from harness.racing.race import Course, OutOfRace, Rules
from harness.worker.reports import Turn
from results.race import LEAST_ROUNDS, Race, pooled
from results.statistics import Verdict
from tests.harness.racing.simulated import Machine, Simulated, raced, start

SPEEDS = {"one": 1.0, "two": 1.02, "three": 1.05, "four": 1.5}


def bursts(moment: float) -> float:
    """Another process that keeps one of two processors busy, four seconds of every eight."""
    return 0.5 if moment % 8 < 4 else 0.0


@pytest.mark.parametrize("others", [lambda moment: 0.0, bursts], ids=["quiet", "bursts"])
def test_known_speeds_are_found_in_order_and_their_intervals_cover_them(others: object) -> None:
    races = 100
    rules = Rules(target=0.015, budget_s=3000)
    found = [raced(SPEEDS, Machine(seed, others), rules) for seed in range(races)]  # type: ignore[arg-type]
    assert all(race.ended == "precision" for race in found)
    in_order = sum([racer.backend for racer in race.ranked] == ["four", "three", "two", "one"] for race in found)
    assert in_order >= 97
    for place, (name, speed) in enumerate(SPEEDS.items()):
        if place == 0:
            continue
        sizes = [race.ratio(race.racers[place]).estimate for race in found]
        covered = sum(size is not None and size.low <= speed <= size.high for size in sizes)  # type: ignore[operator]
        assert covered >= 93, f"{name}: {covered} of {races}"


def test_a_race_ends_when_every_interval_is_near_enough() -> None:
    race = raced(SPEEDS, Machine(0), Rules())
    assert race.ended == "precision" and race.precise
    assert LEAST_ROUNDS <= race.rounds < 40
    assert race.ratio(race.racers[3]).verdict is Verdict.FASTER


def test_a_race_ends_with_its_budget_and_says_so() -> None:
    race = raced(SPEEDS, Machine(0, noise=0.3), Rules(target=0.01, budget_s=30))
    assert race.ended == "budget" and not race.precise
    assert 30 <= race.seconds < 31


def test_beside_a_permanent_load_there_is_no_verdict_but_its_cause() -> None:
    race = raced(SPEEDS, Machine(0, others=lambda moment: 0.97), Rules(budget_s=20))
    assert race.ended == "budget"
    assert race.ranked == ()
    assert all(racer.quiet == 0 and racer.rate is None and racer.disturbed > 5 for racer in race.racers)
    assert all(racer.taken is not None and racer.taken > 0.9 for racer in race.racers)
    assert {race.ratio(racer).reason for racer in race.rivals} == {"no_pair"}


def test_a_disturbed_turn_is_made_again_in_the_same_round() -> None:
    machine = Machine(0, others=lambda moment: 0.5 if moment < 0.1 else 0.0)  # the very first turn
    race = raced({"one": 1.0, "two": 2.0}, machine, Rules())
    assert sum(racer.disturbed for racer in race.racers) == 1
    assert all(rate is not None for racer in race.racers for rate in racer.rates)


def test_order_changes_from_round_to_round() -> None:
    order: list[str] = []

    class Told(Simulated):
        def __init__(self, name: str, machine: Machine) -> None:
            super().__init__(machine, 1.0)
            self._name = name

        def turn(self, seconds: float) -> Turn:
            order.append(self._name)
            return super().turn(seconds)

    machine, rules = Machine(0, noise=0.3), Rules(target=0.001, budget_s=40)
    course = Course(start(["a", "b", "c"], rules), rules, clock=machine.clock)
    course.run({place: Told(name, machine) for place, name in enumerate("abc")}, lambda race: None, budget_s=40)
    rounds = {tuple(order[at : at + 3]) for at in range(0, 3 * (len(order) // 3), 3)}
    assert len(rounds) == 6
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)


def test_one_that_fails_is_out_and_the_others_race_on() -> None:
    class Failing(Simulated):
        turns = 0

        def turn(self, seconds: float) -> Turn:
            self.turns += 1
            if self.turns > 2:
                raise OutOfRace("killed by SIGSEGV")
            return super().turn(seconds)

    machine, rules = Machine(0), Rules()
    course = Course(start(["one", "bad", "two"], rules), rules, clock=machine.clock)
    course.run({0: Simulated(machine, 1.0), 1: Failing(machine, 1.0), 2: Simulated(machine, 2.0)},
               lambda race: None, budget_s=60)  # fmt: skip
    race = course.standing
    assert race.ended == "precision"
    assert race.racers[1].error == "killed by SIGSEGV"
    assert [racer.backend for racer in race.ranked] == ["two", "one"]
    assert race.ratio(race.racers[1]).reason == "few_rounds"


def test_groups_share_the_baseline() -> None:
    machine, rules = Machine(0), Rules()
    course = Course(start(["one", "two", "three"], rules), rules, clock=machine.clock)
    for rival in (1, 2):
        entrants = {0: Simulated(machine, 1.0), rival: Simulated(machine, 1.0 + rival)}
        course.run(entrants, lambda race: None, budget_s=30)
    race = course.standing
    assert race.ended == "precision" and race.precise
    assert [racer.backend for racer in race.ranked] == ["three", "two", "one"]
    assert race.racers[0].quiet == race.racers[1].quiet + race.racers[2].quiet


def test_further_rounds_narrow_the_intervals() -> None:
    rules = Rules(target=0.001, budget_s=15)
    races = [raced({"one": 1.0, "two": 1.3}, Machine(seed, noise=0.2), rules) for seed in range(4)]

    def width(race: Race) -> float:
        size = race.ratio(race.racers[1]).estimate
        assert size is not None and size.low is not None and size.high is not None
        return size.high - size.low

    [one] = pooled(races)
    assert one.rounds == sum(race.rounds for race in races)
    assert width(one) < 0.7 * min(map(width, races))
    other = races[0].model_copy(update={"training": "1" * 64})
    assert len(pooled([*races, other])) == 2


def test_a_race_comes_back_as_it_was_kept() -> None:
    race = raced(SPEEDS, Machine(0), Rules())
    assert Race.model_validate_json(race.to_json()) == race
