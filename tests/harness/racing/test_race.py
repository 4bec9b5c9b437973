"""The rules of a race, on machines that are known because they are simulated."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise

import pytest

from harness.racing.race import Course, OutOfRace, Rules
from harness.worker.reports import Turn
from results.openings import LEAST_OPENINGS
from results.race import Race, pooled
from results.race_words import sentences
from results.statistics import Verdict
from results.words import Words
from tests.harness.racing.simulated import Machine, Openings, Others, Simulated, raced, start

SPEEDS = {"one": 1.0, "two": 1.02, "three": 1.05, "four": 1.5}


def quiet(moment: float) -> float:
    """Nobody else."""
    return 0.0


def bursts(moment: float) -> float:
    """Another process that keeps one of two processors busy, four seconds of every eight."""
    return 0.5 if moment % 8 < 4 else 0.0


@pytest.mark.parametrize(("spread", "others"), [(0.0, quiet), (0.03, bursts), (0.1, quiet)])
def test_known_speeds_are_within_their_intervals(spread: float, others: Others) -> None:
    """The truth is the speed over all openings, each of which has its own."""
    races = 200
    found = [raced(SPEEDS, Machine(seed, others), Rules(), spread=spread) for seed in range(races)]
    assert {len(race.openings) for race in found} <= {3, 4, 5}
    for place, (name, speed) in enumerate(SPEEDS.items()):
        if place == 0:
            continue
        sizes = [race.ratio(race.racers[place]).estimate for race in found]
        covered = sum(size is not None and size.low <= speed <= size.high for size in sizes)  # type: ignore[operator]
        assert covered >= 0.93 * races, f"{name}: {covered} of {races}"


@pytest.mark.parametrize(("others", "budget_s", "least"), [(quiet, 60, 95), (bursts, 60, 90), (bursts, 600, 95)])
def test_known_speeds_are_found_in_order(others: Others, budget_s: float, least: int) -> None:
    """Of 100 races; in none is a slower one told to be the faster."""
    found = [raced(SPEEDS, Machine(seed, others), Rules(budget_s=budget_s)) for seed in range(100)]
    in_order = sum([racer.backend for racer in race.ranked] == ["four", "three", "two", "one"] for race in found)
    assert in_order >= least
    assert Verdict.SLOWER not in {race.ratio(racer).verdict for race in found for racer in race.rivals}


def test_a_quiet_race_comes_within_its_target_in_the_seconds_of_turns_that_it_has() -> None:
    found = [raced(SPEEDS, Machine(seed), Rules()) for seed in range(100)]
    assert sum(race.precise and race.seconds <= 62 for race in found) >= 95


def test_more_openings_narrow_an_interval_that_turns_cannot() -> None:
    def race_of(budget_s: float, seed: int) -> Race:
        return raced({"one": 1.0, "two": 1.0}, Machine(seed), Rules(target=0.001, budget_s=budget_s), spread=0.05)

    short, long = race_of(60, 0), race_of(1200, 0)
    many = pooled([race_of(60, seed) for seed in range(6)])[0]
    assert (len(short.openings), len(long.openings), len(many.openings)) == (5, 5, 30)
    assert many.rounds < long.rounds
    assert width(long) > 0.5 * width(short)
    assert width(many) < 0.5 * width(long)


def test_a_race_ends_when_every_interval_is_near_enough() -> None:
    race = raced(SPEEDS, Machine(0), Rules())
    assert race.ended == "precision" and race.precise
    assert LEAST_OPENINGS <= len(race.openings) < 5
    assert race.seconds < 50
    assert race.ratio(race.racers[3]).verdict is Verdict.FASTER


def test_there_may_be_more_openings_as_far_as_opening_goes() -> None:
    rules = Rules(target=0.001, budget_s=60, openings=10)
    lengths = {seconds: len(raced(SPEEDS, Machine(0), rules, opening_s=seconds).openings) for seconds in (5, 15, 60)}
    assert lengths == {5: 10, 15: 8, 60: 3}


def test_a_race_ends_when_it_has_enough_by_its_rules() -> None:
    seen = []

    def enough(race: Race) -> bool:
        seen.append(len(race.openings))
        return len(race.openings) == 4

    race = raced(SPEEDS, Machine(0), Rules(budget_s=60, target=0.001, enough=enough))
    assert seen == [3, 4]
    assert race.ended == "precision" and race.seconds < 60


def test_where_opening_takes_long_there_are_three_and_they_have_all_the_budget() -> None:
    rules = Rules(target=0.001, budget_s=60)
    quick, slow = (raced(SPEEDS, Machine(0), rules, opening_s=seconds) for seconds in (20, 45))
    assert (len(quick.openings), len(slow.openings)) == (5, 3)
    assert all(60 <= race.seconds < 62 for race in (quick, slow))
    lengths = [end - begin for begin, end in pairwise((*slow.openings, slow.rounds))]
    assert max(lengths) - min(lengths) <= 2


def test_fewer_than_three_openings_tell_nothing_closer_than_openings_differ() -> None:
    """Such races were kept before they had several openings, and are when they are interrupted."""
    whole = raced({"one": 1.0, "two": 1.05, "three": 1.2, "four": 0.8}, Machine(0), Rules(budget_s=600))
    begin = whole.openings[1]
    kept = json.loads(whole.to_json())
    for racer in kept["racers"]:
        racer["rates"] = racer["rates"][:begin]
    del kept["openings"], kept["busiest"]
    one = Race.model_validate(kept)
    assert one.openings == (0,)
    assert [one.ratio(racer).verdict for racer in one.rivals] == [Verdict.CANNOT_TELL, Verdict.FASTER, Verdict.SLOWER]
    assert whole.ratio(whole.racers[1]).verdict is Verdict.FASTER
    assert not one.precise
    said = " ".join(sentences(one, Words(), lambda racer: racer.backend))
    assert "until every interval" not in said
    assert "10 % wider" in said


def test_a_race_ends_with_its_budget_and_says_so() -> None:
    race = raced(SPEEDS, Machine(0, noise=0.3), Rules(target=0.01, budget_s=30))
    assert race.ended == "budget" and not race.precise
    assert 30 <= race.seconds < 32


def test_a_budget_that_is_too_small_is_said() -> None:
    race = raced(SPEEDS, Machine(0), Rules(budget_s=2))
    assert (race.ended, race.ranked) == ("budget", ())
    said = " ".join(sentences(race, Words(), lambda racer: racer.backend))
    assert "It takes 3 openings with a round that counts, or 10 such rounds: a larger --budget has more." in said
    loaded = raced(SPEEDS, Machine(0, others=lambda moment: 0.97), Rules(budget_s=20))
    assert "--budget" not in " ".join(sentences(loaded, Words(), lambda racer: racer.backend))


def test_beside_a_permanent_load_there_is_no_verdict_but_its_cause() -> None:
    race = raced(SPEEDS, Machine(0, others=lambda moment: 0.97), Rules(budget_s=20))
    assert race.ended == "budget"
    assert race.ranked == ()
    assert all(racer.quiet == 0 and racer.rate is None and racer.disturbed > 5 for racer in race.racers)
    assert all(racer.taken is not None and racer.taken > 0.9 for racer in race.racers)
    assert {race.ratio(racer).reason for racer in race.rivals} == {"no_pair"}


def test_a_disturbed_turn_is_made_again_in_the_same_round() -> None:
    machine = Machine(0, others=lambda moment: 0.5 if moment < 20.1 else 0.0)  # the very first turn
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

    machine = Machine(0, noise=0.3)
    made = {place: partial(Told, name, machine) for place, name in enumerate("abc")}
    race = raced({"a": 1.0, "b": 1.0, "c": 1.0}, machine, Rules(target=0.001, budget_s=40), made=made)
    rounds = [tuple(order[3 * at : 3 * at + 3]) for at in range(race.rounds)]
    assert len(set(rounds)) == 6
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)


def test_one_that_fails_is_out_and_the_others_race_on() -> None:
    opened = []

    class Failing(Simulated):
        turns = 0

        def turn(self, seconds: float) -> Turn:
            self.turns += 1
            if self.turns > 2:
                raise OutOfRace("killed by SIGSEGV")
            return super().turn(seconds)

    def failing() -> Failing:
        opened.append(True)
        return Failing(machine, 1.0)

    machine = Machine(0)
    race = raced({"one": 1.0, "bad": 1.0, "two": 2.0}, machine, Rules(), made={1: failing})
    assert race.ended == "precision"
    assert race.racers[1].error == "killed by SIGSEGV"
    assert [racer.backend for racer in race.ranked] == ["two", "one"]
    assert race.ratio(race.racers[1]).reason == "few_rounds"
    assert len(opened) == 1
    alone = raced({"one": 1.0, "bad": 1.0}, machine, Rules(), made={1: failing})
    assert (alone.ended, alone.ranked) == ("failed", ())


def test_groups_share_the_baseline() -> None:
    race = raced({"one": 1.0, "two": 2.0, "three": 3.0}, Machine(0), Rules(), groups=[[1], [2]])
    assert race.ended == "precision" and race.precise
    assert [racer.backend for racer in race.ranked] == ["three", "two", "one"]
    assert race.racers[0].quiet == race.racers[1].quiet + race.racers[2].quiet


def test_those_of_different_groups_are_told_apart_by_the_baseline_they_share() -> None:
    races = [
        raced({"one": 1.0, "two": 2.0, "three": 2.5}, Machine(seed), Rules(), groups=[[1], [2]], spread=0.03)
        for seed in range(200)
    ]
    found = [race.ratio(race.racers[2], race.racers[1]) for race in races]
    assert sum(one.verdict is Verdict.FASTER for one in found) >= 180
    covered = sum(one.estimate is not None and one.estimate.low <= 1.25 <= one.estimate.high for one in found)  # type: ignore[operator]
    assert covered >= 186
    said = " ".join(sentences(races[0], Words(), lambda racer: racer.backend))
    assert "three is fastest" in said and "times as fast as two" in said
    one = races[0].model_copy(update={"openings": (0,)})
    assert one.ratio(one.racers[2], one.racers[1]).reason == "few_rounds"


def test_nobody_is_first_who_is_slower_than_another_round_by_round() -> None:
    """Ratios to the baseline are of the rounds that both share with it, and those differ."""
    base = (100.0,) * 12 + (200.0,) * 12
    one, two = ((101.0,) * 12 + (None,) * 12) * 1, ((105.0,) * 12 + (150.0,) * 12)
    race = start(["base", "one", "two"], Rules()).model_copy(update={"openings": (0, 4, 8, 12, 16, 20)})
    racers = tuple(
        racer.model_copy(update={"rates": rates}) for racer, rates in zip(race.racers, (base, one, two), strict=True)
    )
    race = race.model_copy(update={"racers": racers})
    assert race.ratio(racers[1]).verdict is Verdict.FASTER
    assert race.ratio(racers[1], racers[2]).verdict is Verdict.SLOWER
    said = next(sentences(race, Words(), lambda racer: racer.backend))
    assert not said.startswith("By turns, one ")


def test_one_backend_in_several_manners_has_a_verdict_too() -> None:
    race = raced({"one": 1.0, "two": 2.0}, Machine(0), Rules())
    manners = ("recommended", "expert")
    racers = tuple(
        racer.model_copy(update={"backend": "torch", "manner": manner})
        for racer, manner in zip(race.racers, manners, strict=True)
    )
    race = race.model_copy(update={"racers": racers})
    said = next(sentences(race, Words(), lambda racer: f"{racer.backend} ({racer.manner})"))
    assert said.startswith("By turns, torch (expert) is fastest: 2")


def test_openings_without_a_quiet_round_do_not_count_as_openings() -> None:
    race = raced({"one": 1.0, "two": 2.0}, Machine(0), Rules())
    assert len(race.openings) >= LEAST_OPENINGS
    second = race.openings[1]
    racers = tuple(
        racer.model_copy(update={"rates": racer.rates[:second] + (None,) * (race.rounds - second)})
        for racer in race.racers
    )
    said = " ".join(sentences(race.model_copy(update={"racers": racers}), Words(), lambda racer: racer.backend))
    assert "10 % wider" in said
    assert "10 % wider" not in " ".join(sentences(race, Words(), lambda racer: racer.backend))


def test_who_was_busy_while_turns_were_disturbed_is_named() -> None:
    machine = Machine(0, others=lambda moment: 0.5 if 30 < moment < 40 else 0.0)

    def usage() -> dict[int, tuple[str, float]]:
        """A thread of the kernel that has worked for an hour is called by what it does at the moment."""
        while_disturbed = min(max(machine.now - 30, 0.0), 10.0)
        used = {"cc1plus": while_disturbed, "ld": 0.3 * while_disturbed, "sshd": 0.01 * while_disturbed}
        return {**dict(enumerate(used.items())), 9: (f"kworker/{machine.now:.0f}", 3600.0)}

    course = Course(start(["one", "two"], Rules()), Rules(), clock=machine.clock, usage=usage)
    course.race(Openings(machine, [1.0, 2.0]), lambda race: None)
    race = course.standing
    assert race.busiest == ("cc1plus", "ld")
    assert "The busiest others meanwhile: cc1plus" in " ".join(sentences(race, Words(), lambda racer: racer.backend))
    assert raced(SPEEDS, Machine(0), Rules()).busiest == ()


def width(race: Race) -> float:
    size = race.ratio(race.racers[1]).estimate
    assert size is not None and size.low is not None and size.high is not None
    return size.high - size.low


def test_further_races_narrow_the_intervals() -> None:
    rules = Rules(target=0.001, budget_s=15)
    races = [raced({"one": 1.0, "two": 1.3}, Machine(seed, noise=0.2), rules) for seed in range(4)]

    [one] = pooled(races)
    assert one.rounds == sum(race.rounds for race in races)
    assert width(one) < 0.7 * min(map(width, races))
    other = races[0].model_copy(update={"training": "1" * 64})
    assert len(pooled([*races, other])) == 2
    assert one.ended == "budget"
    assert "The budget of 1 min 0 s ended it" in " ".join(sentences(one, Words(), lambda racer: racer.backend))


def test_races_with_another_baseline_count_together() -> None:
    first, second = (raced({"one": 1.0, "two": 1.3}, Machine(seed), Rules(budget_s=15)) for seed in range(2))
    [one] = pooled([first, second.model_copy(update={"baseline": 1})])
    assert (one.baseline, one.rounds, [racer.backend for racer in one.ranked]) == (
        1,
        first.rounds + second.rounds,
        ["two", "one"],
    )


@pytest.mark.parametrize("place", [0, 1])
def test_a_race_that_one_could_not_be_opened_for_hides_no_other(place: int) -> None:
    whole = raced({"one": 1.0, "two": 1.3}, Machine(0), Rules())
    known = tuple(racer.model_copy(update={"framework_version": "1.0"}) for racer in whole.racers)
    whole = whole.model_copy(update={"racers": known})
    failed = start(["one", "two"], Rules()).model_copy(update={"ended": "failed"})
    out = failed.racers[place].model_copy(update={"error": "no memory"})
    opened = failed.racers[1 - place].model_copy(update={"framework_version": "1.0"})
    failed = failed.model_copy(update={"racers": (out, opened) if place == 0 else (opened, out)})
    [one] = pooled([whole, failed])
    assert [(racer.backend, racer.framework_version) for racer in one.racers] == [("one", "1.0"), ("two", "1.0")]
    assert [racer.backend for racer in one.ranked] == ["two", "one"]
    assert one.racers[place].error == "no memory"


def test_a_race_comes_back_as_it_was_kept() -> None:
    race = raced(SPEEDS, Machine(0), Rules())
    assert Race.model_validate_json(race.to_json()) == race
