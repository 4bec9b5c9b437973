"""Every backend computes what the NumPy float64 reference computes: a test per check of the suite."""

from __future__ import annotations

import pytest

from harness.conformance.judge import Candidate
from harness.conformance.suite import QUICK, Check, Suite
from harness.conformance.table import line
from tests.conformance.conftest import OWN_LAYERS

MAY_LACK: dict[str, set[str]] = {
    "torch": set(),
    "keras": set(),
    "paddle": {"bfloat16"},
    "mindspore": {"float64", "bfloat16"},
    "jax": set(),
}
"""In which precisions these have something missing: MindSpore has few CPU kernels in float64, two have none in
bfloat16. A backend that is not named may refuse whatever it has not."""


def test_conforms(candidate: Candidate, check: Check) -> None:
    outcomes = check.run(candidate)
    failed = [line(outcome) for outcome in outcomes if outcome.status == "fail"]
    assert not failed, "\n".join(failed)
    missing = [outcome for outcome in outcomes if outcome.status == "unsupported" or outcome.unsupported]
    backend = candidate.name.partition(",")[0]
    if backend in MAY_LACK:
        assert {outcome.precision for outcome in missing} <= MAY_LACK[backend], missing
    if all(outcome.status == "unsupported" for outcome in outcomes):
        pytest.skip(f"{candidate.name} does not support it: {outcomes[0].detail}")


def test_what_a_manner_computes_otherwise_is_the_name_of_a_check() -> None:
    """A name that no check has would leave a manner's own layers out without a word."""
    names = {check.name for check in Suite(QUICK).checks(["layers"])}
    assert set().union(*OWN_LAYERS.values()) <= names
