"""What a check found."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backends.registry import Manner

LEVELS = ("layers", "networks", "optimizers", "trajectories", "runs", "loop", "contract", "special")
"""In the order in which they run; level 1 is layers."""

Status = Literal["pass", "fail", "unsupported"]


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """One quantity of one check in one precision, over all cases of the check.

    ``error`` is that of the worst case against ``limit`` (the tolerance, or what float32 itself allows: then
    ``float32_limited``). Both are None where nothing could be computed: ``status`` is then "unsupported" when the
    backend said so for every case (``unsupported`` holds case and reason), else "fail", and ``detail`` tells.
    """

    level: str
    check: str
    quantity: str
    precision: str
    status: Status
    error: float | None = None
    limit: float | None = None
    float32_limited: bool = False
    worst_case: str = ""
    where: str = ""
    cases: int = 0
    unsupported: tuple[tuple[str, str], ...] = ()
    detail: str = ""

    @property
    def severity(self) -> float:
        """How near the outcome is to failing, for finding the worst of several: above 1 it has failed."""
        if self.status == "fail" and self.error is None:
            return math.inf
        if self.error is None or self.limit is None:
            return -1.0
        if self.error == 0:
            return 0.0
        return self.error / self.limit if self.limit and math.isfinite(self.error) else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an infinite error (nothing comparable came back) is written as a string."""
        data = asdict(self)
        if self.error is not None and not math.isfinite(self.error):
            data["error"] = "inf"
        return data


@dataclass(frozen=True, kw_only=True)
class BackendReport:
    """All outcomes of a backend in one manner; ``packages`` maps names to versions, ``seconds`` are wall time."""

    backend: str
    tuning: Manner
    framework_version: str
    packages: dict[str, str]
    outcomes: tuple[CheckOutcome, ...]
    seconds: float

    @property
    def title(self) -> str:
        """Backend and manner: torch, expert."""
        return f"{self.backend}, {self.tuning}"

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.tally("fail")

    def tally(self, status: Status) -> int:
        """How many outcomes have this status."""
        return sum(outcome.status == status for outcome in self.outcomes)


def worst(outcomes: Iterable[CheckOutcome]) -> CheckOutcome:
    """The outcome nearest to failing, or the one that failed worst."""
    return max(outcomes, key=lambda outcome: outcome.severity)
