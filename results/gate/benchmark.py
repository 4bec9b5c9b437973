"""A gate in the form that github-action-benchmark reads under ``tool: customSmallerIsBetter``.

Every figure is of the candidate beside the base of the same session, since absolute times of two machines, or of two
hours of one, are not comparable: times and peaks as a multiple of the base's, and the candidate's test error.
"""

from __future__ import annotations

import json
from typing import Any

from results.gate.checks import GateCheck
from results.gate.outcome import CaseOutcome, Gate


def benchmark(gate: Gate) -> str:
    """A JSON list of entries; what is not known has none."""
    entries = [_entry(gate, case, check) for case in gate.cases for check in case.checks]
    return json.dumps([entry for entry in entries if entry is not None], indent=2) + "\n"


def _entry(gate: Gate, case: CaseOutcome, check: GateCheck) -> dict[str, Any] | None:
    if check.value is None or check.candidate is None:
        return None
    name = f"{case.model} on {case.dataset}: "
    extra = f"{gate.candidate} in place of {gate.base}: {check.status}"
    if check.figure == "accuracy":
        return {"name": f"{name}test error", "unit": "%", "value": 100 - check.candidate, "extra": extra}
    entry = {"name": f"{name}{check.figure}", "unit": "x base", "value": 1 + check.value / 100, "extra": extra}
    if check.low is not None and check.high is not None:
        entry["range"] = f"{1 + check.low / 100:.3f} to {1 + check.high / 100:.3f}"
    return entry
