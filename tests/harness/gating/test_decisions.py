"""What a gate decides of a slowdown that is known: false alarms, misses, and how often it cannot tell."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from harness.gating.rules import rules_of
from results.gate.checks import Status, time_check
from tests.harness.gating.simulated import LIMIT, Noise, decided
from tests.harness.racing.simulated import Machine, raced

GATES = 1000
MEASURED, WORSE = Noise(), Noise(openings=0.03)
CHANCE = 70
"""Of 1,000 gates, where 50 are expected: three standard errors more."""


@cache
def outcomes(slowdown: float, noise: Noise) -> Counter[Status]:
    return Counter(decided(seed, slowdown, noise) for seed in range(GATES))


@pytest.mark.parametrize("noise", [MEASURED, WORSE])
def test_no_slowdown_is_hardly_ever_called_one(noise: Noise) -> None:
    assert outcomes(0, noise)[Status.REGRESSED] < 0.01 * GATES
    assert outcomes(3, noise)[Status.REGRESSED] < 0.02 * GATES


@pytest.mark.parametrize("noise", [MEASURED, WORSE])
def test_a_fifth_slower_is_hardly_ever_let_through_or_left_open(noise: Noise) -> None:
    assert outcomes(20, noise)[Status.REGRESSED] > 0.99 * GATES
    assert outcomes(8, noise)[Status.PASSED] < 0.01 * GATES


@pytest.mark.parametrize("noise", [MEASURED, WORSE])
def test_at_the_limit_either_answer_is_wrong_in_one_of_twenty_at_most(noise: Noise) -> None:
    """Looked at several times, the interval still leaves the truth out no oftener than 95 % confidence allows."""
    found = outcomes(LIMIT, noise)
    assert max(found[Status.REGRESSED], found[Status.PASSED]) <= CHANCE


def test_under_measured_noise_most_gates_are_decided() -> None:
    assert outcomes(0, MEASURED)[Status.PASSED] > 0.95 * GATES
    assert outcomes(8, MEASURED)[Status.REGRESSED] > 0.6 * GATES


@pytest.mark.parametrize(("slowdown", "status"), [(0, Status.PASSED), (20, Status.REGRESSED)], ids=["none", "a fifth"])
def test_whole_races_on_a_moved_clock_decide_as_the_turns_do(slowdown: float, status: Status) -> None:
    """The race's own loop, beside bursts of others, with looks after the openings that the rules name."""
    speeds = {"base": 1.0, "candidate": 1 / (1 + slowdown / 100)}
    found = [
        raced(speeds, Machine(seed, lambda moment: 0.5 if moment % 8 < 4 else 0.0), rules_of(120, LIMIT), spread=0.01)
        for seed in range(20)
    ]
    assert sum(time_check(race, LIMIT).status is status for race in found) >= 19
    assert all(race.seconds < 130 for race in found)
