"""Base and candidate as they are named, and their runs."""

from __future__ import annotations

import pytest

from harness.gating.limits import limits_of
from harness.gating.sides import cases, runs_of, sided
from harness.planning.choices import GateChoices
from results.gate.checks import Limits
from specs.errors import RequestError
from tests.fakes import registered

CHOICES = GateChoices(models=("lenet5", "mlp"), seeds=(0, 1), threads=1)


def test_a_manner_is_named_behind_a_colon() -> None:
    assert sided("torch", CHOICES).plans[0].tuning == "recommended"
    side = sided("pytorch:expert", CHOICES)
    other = sided("keras@3.12:default", CHOICES)
    assert (other.backend, other.plans[0].backend.version, other.plans[0].tuning) == (
        "keras@3.12.0",
        "3.12.0",
        "default",
    )
    assert runs_of(None, other)[0][0] == "candidate-keras-3.12.0-lenet5-digits-s0-r0-default"
    assert (side.named, side.backend, side.plans[0].tuning) == ("pytorch:expert", "torch", "expert")


def test_both_sides_run_in_turn_seed_by_seed_and_the_same_side_may_be_given_twice() -> None:
    same = sided("torch", CHOICES)
    names = [name for name, _ in runs_of(same, same)]
    assert len(set(names)) == len(names) == 8
    assert names[:4] == [
        "base-torch-lenet5-digits-s0-r0",
        "candidate-torch-lenet5-digits-s0-r0",
        "base-torch-lenet5-digits-s1-r0",
        "candidate-torch-lenet5-digits-s1-r0",
    ]
    assert [name.partition("-")[0] for name, _ in runs_of(None, same)] == ["candidate"] * 4
    assert [[plan.seed for plan in plans] for plans in cases(same)] == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("tocrh", "unknown backend 'tocrh'; did you mean 'torch'?"),
        ("torch:exprt", "unknown tuning 'exprt'; did you mean 'expert'?"),
        ("torch:", "unknown tuning ''"),
        ("fake:expert", "backend 'fake' has no expert manner; --tuning may be default or recommended"),
        ("all", "a gate takes one backend on either side"),
    ],
)
def test_what_cannot_be_named_is_refused_in_one_line(named: str, said: str) -> None:
    with registered(), pytest.raises(RequestError) as refused:
        sided(named, CHOICES)
    assert said in str(refused.value)


def test_limits_are_numbers_from_0_on() -> None:
    assert limits_of(GateChoices()) == Limits(slowdown=5.0, memory=10.0, accuracy_loss=0.5)
    for name, value in (("max_slowdown", -1.0), ("max_memory", float("nan")), ("max_accuracy_loss", 1e9)):
        with pytest.raises(RequestError, match=f"--{name.replace('_', '-')} must be from 0 to 1000"):
            limits_of(GateChoices(**{name: value}))
