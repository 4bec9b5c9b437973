"""Every backend computes what the NumPy float64 reference computes: a test per check of the suite."""

from __future__ import annotations

import pytest

from harness.conformance.judge import Candidate
from harness.conformance.suite import Check
from harness.conformance.table import line

NOT_SUPPORTED = {("mindspore", "float64"), ("mindspore", "bfloat16"), ("paddle", "bfloat16")}
"""Backend and precision of what may be missing: MindSpore has few CPU kernels in float64, two have none in bfloat16."""


def test_conforms(candidate: Candidate, check: Check) -> None:
    outcomes = check.run(candidate)
    failed = [line(outcome) for outcome in outcomes if outcome.status == "fail"]
    assert not failed, "\n".join(failed)
    missing = [outcome for outcome in outcomes if outcome.status == "unsupported" or outcome.unsupported]
    backend = candidate.name.partition(",")[0]
    assert {(backend, outcome.precision) for outcome in missing} <= NOT_SUPPORTED, missing
    if all(outcome.status == "unsupported" for outcome in outcomes):
        pytest.skip(f"{candidate.name} does not support it: {outcomes[0].detail}")
