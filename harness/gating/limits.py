"""The limits of a gate, from what was chosen."""

from __future__ import annotations

import math

from harness.planning.choices import GateChoices
from results.gate.checks import Limits
from specs.errors import RequestError

MOST = 1000.0


def limits_of(choices: GateChoices) -> Limits:
    """Raises RequestError for a limit below 0, beyond MOST or no number."""
    for name in ("max_slowdown", "max_memory", "max_accuracy_loss"):
        value = getattr(choices, name)
        if not (math.isfinite(value) and 0 <= value <= MOST):
            option, unit = name.replace("_", "-"), "points" if name == "max_accuracy_loss" else "per cent"
            raise RequestError(f"--{option} must be from 0 to {MOST:g} {unit}, got {value:g}")
    return Limits(slowdown=choices.max_slowdown, memory=choices.max_memory, accuracy_loss=choices.max_accuracy_loss)
