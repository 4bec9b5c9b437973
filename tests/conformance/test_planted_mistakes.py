"""The suite can fail: it passes NumPy in float32 and catches every planted mistake at the level it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from backends.numpy.session import NumpySession
from harness.conformance.judge import Candidate
from harness.conformance.outcome import LEVELS, CheckOutcome
from harness.conformance.special_values import judge_special_values
from harness.conformance.suite import FULL, QUICK, Suite
from harness.conformance.table import line
from harness.worker.script import play
from specs import layers as L
from tests.conformance import wrong_layers
from tests.conformance.mutants import FURTHER, MUTANTS
from tests.conformance.planting import Mutant, Open, computing, training


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite(replace(FULL, drawn_layers_per_kind=0, drawn_networks=4, drawn_graphs=4, recipes=("lenet5", "mlp")))


@pytest.fixture(scope="module")
def quick() -> Suite:
    return Suite(QUICK)


def candidate(name: str, open_session: Open) -> Candidate:
    return Candidate(name=name, open=open_session, train=training(open_session), play=partial(play, open_session))


def judged(suite: Suite, level: str, candidate: Candidate) -> list[CheckOutcome]:
    """What the float32 checks of a level find."""
    checks = [check for check in suite.checks([level]) if check.precision == "float32"]
    return [outcome for check in checks for outcome in check.run(candidate)]


@pytest.mark.parametrize("level", LEVELS)
def test_numpy_in_float32_passes(suite: Suite, level: str) -> None:
    outcomes = judged(suite, level, candidate("numpy in float32", NumpySession))
    assert outcomes
    assert [line(outcome) for outcome in outcomes if outcome.status != "pass"] == []


@pytest.mark.parametrize("mutant", [*MUTANTS, *FURTHER], ids=str)
def test_mistake_is_caught(suite: Suite, mutant: Mutant, record_property: Callable[[str, str], None]) -> None:
    record_property("planted", "planted mistakes" if mutant in MUTANTS else "further mistakes")
    record_property("mistake", mutant.name)
    outcomes = judged(suite, mutant.level, candidate(mutant.name, mutant.open))
    assert [line(outcome) for outcome in outcomes if outcome.quantity == "completion"] == [], (
        "it broke, which is easier"
    )
    assert any(outcome.status == "fail" for outcome in outcomes), (
        f"level {mutant.level} passed it; nearest: {line(max(outcomes, key=lambda o: o.severity))}"
    )


@pytest.mark.parametrize("mutant", [one for one in (*MUTANTS, *FURTHER) if one.level == "layers"], ids=str)
def test_layers_side_by_side_show_what_each_alone_does(quick: Suite, mutant: Mutant) -> None:
    outcomes = judged(quick, mutant.level, candidate(mutant.name, mutant.open))
    assert any(outcome.status == "fail" and outcome.quantity != "completion" for outcome in outcomes)


@pytest.mark.parametrize(
    ("subject", "kind", "mistaken"),
    [
        ("paddle", L.PositionEmbedding, wrong_layers.without_nan),
        ("jax", L.SiLU, wrong_layers.lost_denormals),
    ],
)
def test_known_differences_excuse_no_more_than_they_name(subject: str, kind: Any, mistaken: Any) -> None:
    """A loss that hides NaN excuses no logits, and denormals that are 0 are not NaN."""
    for opened, status in ((NumpySession, "pass"), (computing(kind, mistaken), "fail")):
        outcomes = judge_special_values(kind.kind, candidate(subject, opened), "float32")
        assert {one.status for one in outcomes if one.quantity == "places"} == {status}


def test_there_are_enough_of_them() -> None:
    assert len({mutant.name for mutant in MUTANTS}) >= 24
    assert {mutant.level for mutant in (*MUTANTS, *FURTHER)} == set(LEVELS)
