"""What a gate came to: its cases with their checks, the verdict, and all of it as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from results.gate.checks import GateCheck, Limits, Status, longer

GateVerdict = Literal["passed", "regression", "undecided"]
EXIT_STATUS: dict[GateVerdict, int] = {"passed": 0, "regression": 1, "undecided": 3}
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Milliseconds per batch of a layer, forward, backward and update, in base and candidate.

    ``slower``: its interval in the candidate lies above that in the base.
    """

    name: str
    base_ms: float
    candidate_ms: float
    slower: bool


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers of a case whose training time is a regression, and what to know of them in a sentence."""

    costs: tuple[LayerCost, ...] = ()
    said: str


@dataclass(frozen=True, kw_only=True)
class CaseOutcome:
    """A model on a data set. ``more_s`` is about how long an undecided race would go on until it tells."""

    model: str
    dataset: str
    checks: tuple[GateCheck, ...]
    layers: Layers | None = None
    more_s: float | None = None
    budget_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Side:
    """Base or candidate as it was named, and the versions of its framework that ran."""

    named: str
    versions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.named} ({', '.join(self.versions)})" if self.versions else self.named


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The whole. ``against`` names the set that the base's runs are from, where it was not run here."""

    base: Side
    candidate: Side
    limits: Limits
    cases: tuple[CaseOutcome, ...]
    conditions: str
    results: str
    against: str | None = None

    @property
    def verdict(self) -> GateVerdict:
        """Regression where one check is, else undecided where one is."""
        found = {check.status for case in self.cases for check in case.checks}
        if Status.REGRESSED in found:
            return "regression"
        return "undecided" if Status.UNDECIDED in found else "passed"

    @property
    def headline(self) -> str:
        """The verdict in a sentence."""
        said = {"passed": "no regression beyond the limits", "regression": "a regression", "undecided": "undecided"}
        return f"{self.candidate} in place of {self.base}: {said[self.verdict]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; the document has a schema number of its own."""
        cases = [
            {**asdict(case), "checks": [{**asdict(check), "longer": longer(check)} for check in case.checks]}
            for case in self.cases
        ]
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "exit_status": EXIT_STATUS[self.verdict],
            **asdict(self),
            "cases": cases,
        }
