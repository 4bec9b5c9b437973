"""Comparing what a backend does with what the reference does, and keeping count of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session, SessionSpec, Unsupported, crossing_dtype
from harness.conformance.case import ConformanceCase, Observation
from harness.conformance.norms import relative_errors
from harness.conformance.outcome import CheckOutcome
from harness.conformance.reference import Reference
from harness.conformance.tolerances import tolerance
from harness.worker.epochs import Emit
from harness.worker.job import TrainingJob
from harness.worker.reports import TrainedState, TrainingReport
from harness.worker.script import Call, Played

FLOAT32_SHARE = 0.1
"""Of every tolerance NumPy's own float32 may use so much in a drawn network."""

Open = Callable[[SessionSpec], Session]
"""Opens a session: in a worker, in this process, of a backend or of a planted mistake."""


Train = Callable[[TrainingJob, Emit], tuple[TrainingReport, TrainedState]]
"""Carries a training out as a run does and tells of it: in a worker, or in this process."""


Play = Callable[[SessionSpec, Sequence[Call]], Played]
"""Carries a script out where the sessions are: in a worker, or in this process."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is judged: a name, what opens its sessions, what carries out trainings, and what carries out scripts."""

    name: str
    open: Open
    train: Train
    play: Play


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One quantity of one case: an error and what it may be at most. ``where`` names the worst tensor or step."""

    case: str
    error: float
    limit: float
    where: str = ""
    float32_limited: bool = False

    @property
    def passed(self) -> bool:
        """Whether the error is within its limit; a NaN is not."""
        return self.error <= self.limit

    @property
    def severity(self) -> float:
        """The error as a share of its limit, for finding the worst."""
        if self.error == 0:
            return 0.0
        return self.error / self.limit if self.limit and math.isfinite(self.error) else math.inf


@dataclass
class Tally:
    """What one check has gathered: measurements by quantity, cases unsupported, cases that broke."""

    measurements: dict[str, list[Measurement]] = field(default_factory=lambda: defaultdict(list))
    unsupported: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @contextmanager
    def attempt(self, case: str) -> Iterator[None]:
        """Note Unsupported as such, and any other exception as a failure of the backend."""
        try:
            yield
        except Unsupported as reason:
            self.unsupported.append((case, str(reason)))
        except Exception as error:
            self.broken.append(f"{case}: {type(error).__name__}: {error}")

    def add(self, quantity: str, measurement: Measurement) -> None:
        """Keep a measurement."""
        self.measurements[quantity].append(measurement)

    def outcomes(self, level: str, check: str, precision: str, *, detail: str = "") -> list[CheckOutcome]:
        """One per quantity; ``detail`` goes to those that failed."""
        common = CheckOutcome(
            level=level,
            check=check,
            quantity="completion",
            precision=precision,
            status="fail",
            unsupported=tuple(self.unsupported),
        )
        outcomes = [_worst_of(found, common, quantity, detail) for quantity, found in self.measurements.items()]
        if self.broken:
            outcomes.append(replace(common, cases=len(self.broken), detail=_listed(self.broken)))
        if not outcomes:
            reasons = sorted({reason for _, reason in self.unsupported})
            outcomes.append(replace(common, status="unsupported", detail=_listed(reasons)))
        return outcomes


def judge(
    level: str,
    check: str,
    cases: Iterable[ConformanceCase],
    *,
    open_session: Open,
    reference: Reference,
    precision: str,
    explain: Callable[[ConformanceCase], str] | None = None,
) -> list[CheckOutcome]:
    """One outcome per quantity that the cases observe. ``explain`` says more of the first case that failed."""
    tally = Tally()
    failed: list[ConformanceCase] = []
    for case in cases:
        with tally.attempt(case.name):
            measured = compare(case, observe(case, open_session, precision), reference, precision)
            for quantity, measurement in measured.items():
                tally.add(quantity, measurement)
            if not all(measurement.passed for measurement in measured.values()):
                failed.append(case)
    detail = explain(failed[0]) if explain is not None and failed else ""
    return tally.outcomes(level, check, precision, detail=detail)


def observe(case: ConformanceCase, open_session: Open, precision: str) -> Observation:
    """Open a session for the case, drive it, close it."""
    with closing(open_session(case.spec(precision))) as session:
        return case.observe(session, np.dtype(precision))


def compare(
    case: ConformanceCase, observed: Observation, reference: Reference, precision: str
) -> dict[str, Measurement]:
    """The worst tensor of every quantity, against the tolerance or against what float32 itself allows."""
    want = reference.observe(case)
    measured = {}
    for quantity in sorted(want.keys() | observed.keys()):
        got, expected = observed.get(quantity, {}), want.get(quantity, {})
        measurement = measure(case.name, quantity, got, expected, precision)
        factor = tolerance(quantity, precision).yardstick
        if not measurement.passed and precision == "float32" and factor:
            singles = [reference.observe(one, "float32")[quantity] for one in case.yardsticks]
            own = factor * max(measure(case.name, quantity, one, expected, "float32").error for one in singles)
            if measurement.limit < own < math.inf:
                measurement = replace(measurement, limit=own, float32_limited=True)
        measured[quantity] = measurement
    return measured


def measure(
    case: str, quantity: str, got: Mapping[str, NDArray[Any]], want: Mapping[str, NDArray[Any]], precision: str
) -> Measurement:
    """The worst tensor against the quantity's tolerance; inf for one that came back in another dtype."""
    allowed = tolerance(quantity, precision)
    errors = relative_errors(got, want, floor=allowed.floor)
    for name in got.keys() & want.keys():
        if np.issubdtype(want[name].dtype, np.floating) and got[name].dtype != crossing_dtype(precision):
            errors[name] = math.inf
    where, error = max(errors.items(), key=lambda item: item[1], default=("", 0.0))
    return Measurement(case=case, error=error, limit=allowed.limit, where=where)


def told_by_float32(case: ConformanceCase, *, but: Collection[str] = ()) -> bool:
    """Whether NumPy's float32 keeps within FLOAT32_SHARE of every tolerance, ``but`` of some quantities.

    Others add in less lucky orders.
    """
    reference = Reference()
    single, want = reference.observe(case, "float32"), reference.observe(case)
    measured = (
        measure(case.name, quantity, single[quantity], want[quantity], "float32") for quantity in want.keys() - but
    )
    return all(measurement.severity <= FLOAT32_SHARE for measurement in measured)


def _worst_of(found: Sequence[Measurement], common: CheckOutcome, quantity: str, detail: str) -> CheckOutcome:
    worst = max(found, key=lambda measurement: (not measurement.passed, measurement.severity))
    return replace(
        common,
        quantity=quantity,
        status="pass" if worst.passed else "fail",
        error=worst.error,
        limit=worst.limit,
        float32_limited=worst.float32_limited,
        worst_case=worst.case,
        where=worst.where,
        cases=len(found),
        detail="" if worst.passed else detail,
    )


def _listed(lines: Sequence[str]) -> str:
    """The first three of some lines, and how many more there are."""
    more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
    return "; ".join(lines[:3]) + more
