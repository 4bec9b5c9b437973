"""Each figure by itself: what passes, what is a regression, what cannot be told and how much more would tell."""

from __future__ import annotations

import pytest

from results.gate.checks import (
    GateCheck,
    Status,
    accuracy_check,
    judged,
    longer,
    memory_check,
    runs_check,
    sameness_check,
    time_check,
)
from results.record import Proof
from tests.results.gate.gates import failed, pairs, race, row

PASSED, REGRESSED, UNDECIDED, NOT_JUDGED = Status


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(-9, 5, PASSED), (-9, 5.1, UNDECIDED), (5, 9, UNDECIDED), (5.1, 9, REGRESSED), (None, None, UNDECIDED)],
)
def test_the_whole_interval_decides(low: float | None, high: float | None, status: Status) -> None:
    assert judged(low, high, 5) is status


def test_time_is_what_a_sample_takes() -> None:
    """A fifth more time is a sixth less speed."""
    check = time_check(race(*[[1.2, 1.19, 1.21, 1.2]] * 3), 5.0)
    assert check.status is REGRESSED
    assert check.value == pytest.approx(20)
    assert (check.n, check.of, check.base) == (3, "openings", 1000)
    assert check.candidate == pytest.approx(1000 / 1.2, rel=0.01)
    assert time_check(race(*[[0.9, 0.91, 0.89, 0.9]] * 3), 5.0).status is PASSED


def test_base_and_candidate_keep_their_sides_whichever_the_race_calls_its_baseline() -> None:
    raced = race(*[[1.2, 1.19, 1.21, 1.2]] * 3)
    assert time_check(raced.model_copy(update={"baseline": 1}), 5.0) == time_check(raced, 5.0)


def test_an_undecided_time_says_how_many_openings_would_do() -> None:
    check = time_check(race([1.0] * 4, [1.04] * 4, [1.08] * 4), 10.0)
    assert check.status is UNDECIDED
    assert check.wanted is not None and 4 <= check.wanted <= 10
    assert longer(check) == f"about {check.wanted} openings in all would decide"
    at_the_limit = time_check(race([1.0] * 4, [1.1] * 4, [1.2] * 4), 10.0)
    assert at_the_limit.wanted is None or at_the_limit.wanted > 50


def test_openings_without_a_quiet_round_are_none() -> None:
    found = time_check(race([1.2] * 4, [], [1.2] * 4, [1.2] * 4), 5.0)
    assert found.n == 3
    few = time_check(race([1.2] * 2, [], [1.2] * 2), 5.0)
    assert (few.status, few.value, few.wanted) == (UNDECIDED, None, 5)
    assert "too few quiet rounds" in few.reason
    assert longer(few) == "about 5 openings in all would decide"


def test_without_any_quiet_round_the_machine_must_become_quieter() -> None:
    none = race(busiest=("cc1plus",))
    none = none.model_copy(update={"racers": tuple(r.model_copy(update={"disturbed": 9}) for r in none.racers)})
    check = time_check(none, 5.0)
    assert check.status is UNDECIDED
    assert check.reason == "too few quiet rounds: others disturbed 18 of 18 turns (busiest: cc1plus)"
    assert "quieter" in longer(check)


def test_who_went_out_of_the_race_is_named() -> None:
    out = race()
    out = out.model_copy(update={"racers": (out.racers[0], out.racers[1].model_copy(update={"error": "SIGSEGV"}))})
    assert time_check(out, 5.0).reason == "candidate went out of the race: SIGSEGV"


def test_accuracy_is_lost_in_points_by_seed() -> None:
    assert accuracy_check(pairs((0, 0), (0.1, 0), (-0.1, 0)), 0.5).status is PASSED
    worse = accuracy_check(pairs((2, 0), (2.1, 0), (1.9, 0)), 0.5)
    assert worse.status is REGRESSED
    assert worse.value == pytest.approx(2)
    assert worse.low is not None and worse.low > 1.5
    assert accuracy_check(pairs((-2, 0), (-2.1, 0), (-1.9, 0)), 0.5).status is PASSED
    unsure = accuracy_check(pairs((2, 0), (-2, 0), (0.1, 0)), 0.5)
    assert unsure.status is UNDECIDED
    assert "would" in longer(unsure)


def test_fewer_than_three_seeds_decide_nothing_of_accuracy() -> None:
    check = accuracy_check(pairs((5, 0), (5, 0)), 0.5)
    assert (check.status, check.value) == (UNDECIDED, pytest.approx(5))
    assert longer(check) == "about 3 seeds in all would decide"


def test_memory_is_judged_by_its_peaks() -> None:
    assert memory_check(pairs((0, 3), (0, 4), (0, 3.5)), 10).status is PASSED
    more = memory_check(pairs((0, 30), (0, 31), (0, 29)), 10)
    assert more.status is REGRESSED
    assert (more.base, more.candidate) == (300, pytest.approx(390))
    one = memory_check(pairs((0, 30)), 10)
    assert (one.status, one.reason) == (UNDECIDED, "one seed has no interval")
    assert memory_check([], 10).status is NOT_JUDGED


PROVED, FAILED = row(), row(proof=Proof(status="failed", quantity="loss", where="step 3", layer="conv2d_1 differs"))
SKIPPED = row(proof=Proof(status="skipped"))


def test_sameness_is_what_the_proofs_say() -> None:
    assert sameness_check([PROVED], [PROVED]).status is PASSED
    check = sameness_check([PROVED], [FAILED])
    assert check.status is REGRESSED
    assert "conv2d_1 differs" in check.reason
    assert sameness_check([FAILED], [FAILED]).status is UNDECIDED
    assert sameness_check([FAILED], [PROVED]).status is PASSED
    assert sameness_check([SKIPPED], [SKIPPED]).status is NOT_JUDGED


def test_a_candidate_that_does_not_train_is_a_regression_where_the_base_does() -> None:
    assert runs_check([row()], [row()]).status is PASSED
    check = runs_check([row(0), row(1)], [row(0), failed(1)])
    assert (check.status, check.reason) == (REGRESSED, "candidate, seed 1: failed: no such kernel")
    check = runs_check([failed()], [row()])
    assert (check.status, check.reason) == (UNDECIDED, "base, seed 0: failed: no such kernel")
    assert longer(GateCheck(figure="runs", status=UNDECIDED)) == ""
