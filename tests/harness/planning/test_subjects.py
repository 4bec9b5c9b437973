"""Whose a record is, and in which order versions run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.registry import BACKENDS, find
from harness.planning.study import Study, plans_of, run_name
from harness.planning.subjects import subject_of
from harness.racing.plans import baseline_of
from specs.errors import RequestError


def test_a_record_is_of_the_version_that_it_says() -> None:
    asked = [find(name) for name in ("torch", "keras@3.12", "keras", "torch@2.12.0")]
    assert subject_of("keras", "3.12.0", asked) == asked[1]
    assert subject_of("keras", "3.15.1", asked) == asked[2]
    assert subject_of("keras", None, asked) == asked[2]
    assert subject_of("torch", "2.12.0+cpu", asked) == asked[3]
    assert subject_of("keras", "3.15.1", asked[:2]) is None
    assert subject_of("paddle", "3.3.1", asked) is None


def test_the_pinned_version_runs_first_and_each_has_its_name() -> None:
    study = Study(
        name="x", backends=("keras@3.12", "torch", "keras@3.5.0", "keras", "tf"), models=("mlp",), datasets=("digits",),
        repeats=1, baseline="keras@3.12",
    )  # fmt: skip
    assert study.backends == ("keras", "keras@3.12.0", "keras@3.5.0", "torch")
    assert study.baseline == "keras@3.12.0"
    assert Study.from_dict(study.to_dict()) == study
    plans = [plan for _, plan in plans_of(study)]
    assert [run_name(plan) for plan in plans[:2]] == ["keras-mlp-digits-s0-r0", "keras-3.12.0-mlp-digits-s0-r0"]
    assert "--backend keras@3.12.0 " in plans[1].command()
    assert [baseline_of(plans, name) for name in ("keras", "keras@3.12.0", "torch")] == [0, 1, 3]


def test_a_version_is_of_the_framework_that_the_backend_is_called_by() -> None:
    assert find("KERAS@3.12").subject == "keras@3.12.0"
    assert find("keras") is BACKENDS["keras"]
    assert find("keras@3.12.0") == replace(BACKENDS["keras"], version="3.12.0")
    with pytest.raises(RequestError, match=r"a version is one of Keras, and written keras@VERSION"):
        find("tensorflow@2.20.0")
    with pytest.raises(RequestError, match=r"did you mean 'keras'\?"):
        find("kers@3.12.0")
