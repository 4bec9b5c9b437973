"""Every backend computes what the NumPy float64 reference computes: a test per check of the suite."""

from __future__ import annotations

import pytest

from harness.conformance.judge import Subject
from harness.conformance.matrix import line
from harness.conformance.suite import Check


def test_conforms(subject: Subject, check: Check) -> None:
    outcomes = check.run(subject)
    failed = [line(outcome) for outcome in outcomes if outcome.status == "fail"]
    assert not failed, "\n".join(failed)
    if all(outcome.status == "unsupported" for outcome in outcomes):
        pytest.skip(f"{subject.name} does not support it: {outcomes[0].detail}")
