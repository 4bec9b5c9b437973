"""One proof: a backend in a worker of its own, started as the timed one will be, held against the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from backends.contract import Session, SessionSpec, Unsupported
from harness.conformance.judge import Measurement, Open, compare, observe
from harness.conformance.locate import first_difference
from harness.planning.plan import RunPlan
from harness.processes.launcher import WorkerFailed
from harness.processes.remote import RemoteWorker, open_worker
from harness.proving.remembering import remembered
from harness.proving.steps import Steps, Unprovable, steps_of
from results.record import Proof, bounded

LARGEST = 1e300
"""In place of an infinite error, which a record cannot hold: a tensor that is missing, or has no finite number."""

TIMEOUT_S = 300.0
"""For each request; none takes nearly as long."""


def prove(plan: RunPlan, python: Path) -> Proof:
    """Whether the backend computes the plan's case as NumPy float64 does; remembered by content.

    A worker that fails is a proof that failed. Raises RequestError where the backend refuses what was asked.
    """
    try:
        return remembered(plan, python, partial(_proved, plan, python))
    except MemoryError:  # there may be more of it the next time
        return Proof(status="unsupported", precision=plan.precision, reason="NumPy has not the memory for it")


def _proved(plan: RunPlan, python: Path) -> Proof:
    made = partial(steps_of, plan.architecture, plan.recipe)  # once: the latest are kept
    try:
        with open_worker(
            plan.backend.subject,
            python=python,
            threads=plan.threads,
            tuning=plan.tuning,
            architecture=plan.architecture,
            timeout_s=TIMEOUT_S,
            meanwhile=made,
        ) as worker:
            return judged(made(), partial(_open, worker, plan), _precisions(plan))
    except Unprovable as reason:
        return Proof(status="unsupported", precision=plan.precision, reason=bounded(str(reason), 500))
    except WorkerFailed as failure:
        count = len(made().case.batches)
        if failure.status == "unsupported":
            return Proof(status="unsupported", steps=count, precision=plan.precision, reason=bounded(str(failure), 500))
        return Proof(status="failed", steps=count, reason=bounded(f"{failure.status}: {failure}", 500))


def judged(steps: Steps, open_session: Open, precisions: Sequence[str]) -> Proof:
    """The proof in the first of the precisions; the others, float64 as a rule, where the backend has them too."""
    count, found = len(steps.case.batches), {}
    for precision in precisions:
        try:
            found[precision] = _worst(steps, open_session, precision)
        except Unsupported as reason:
            if precision == precisions[0]:
                return Proof(status="unsupported", steps=count, precision=precision, reason=bounded(str(reason), 500))
    failed = [precision for precision, (_, measured) in found.items() if not measured.passed]
    precision = next(iter(failed), precisions[0])
    quantity, measured = found[precision]
    return Proof(
        status="failed" if failed else "proved",
        steps=count,
        precision=precision,
        quantity=quantity,
        where=measured.where,
        error=min(measured.error, LARGEST),
        limit=measured.limit,
        float64_error=min(found["float64"][1].error, LARGEST) if "float64" in found else None,
        layer=bounded(_located(steps, open_session, precision), 500) if failed else "",
    )


def _located(steps: Steps, open_session: Open, precision: str) -> str:
    return first_difference(steps.case, open_session, steps.reference, precision)


def _worst(steps: Steps, open_session: Open, precision: str) -> tuple[str, Measurement]:
    """The quantity that comes nearest to its tolerance, or is furthest beyond it."""
    observed = observe(steps.case, open_session, precision)
    measured = compare(steps.case, observed, steps.reference, precision)
    return max(measured.items(), key=lambda item: (not item[1].passed, item[1].severity))


def _precisions(plan: RunPlan) -> tuple[str, ...]:
    """The plan's own and float64. bfloat16 rounds so much that it says nothing of formulas: float32 stands for it."""
    own = "float32" if plan.precision == "bfloat16" else plan.precision
    return tuple(dict.fromkeys((own, "float64")))


def _open(worker: RemoteWorker, plan: RunPlan, spec: SessionSpec) -> Session:
    return worker.open(replace(spec, tuning=plan.tuning, threads=plan.threads, device=plan.device))
