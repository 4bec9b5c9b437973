"""The outcome of a gate, with the versions that ran, the machine, and what is not judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.gating.sides import BASE, CANDIDATE, run_ids
from harness.gating.trial import GateTrial, Stored
from results.gate.outcome import CaseOutcome, Gate, Side
from results.record import Row
from results.store import ResultSet

AGAINST = "against {set}: accuracies and sameness alone; neither time nor memory is held against what was stored"
HERE = "both sides in one session, in turn"


def told(
    trial: GateTrial, cases: Sequence[CaseOutcome], results: ResultSet, against: tuple[ResultSet, Stored] | None
) -> Gate:
    """``against`` is the set that has the base's runs, and these, where the base was not run here."""
    rows = {row.run_id: row for row in results.rows()[0]}
    ran = [rows[run_id] for run_id in run_ids(CANDIDATE, trial.candidate.plans)]
    if against is None:
        before, where, place = [rows[run_id] for run_id in run_ids(BASE, trial.base.plans)], HERE, None
    else:
        before = [row for own in against[1].values() for row in own]
        place = str(against[0].path)
        where = AGAINST.format(set=place)
    plan = trial.candidate.plans[0]
    machine = next((row.environment.cpu for row in ran if row.environment.cpu), "unknown processor")
    return Gate(
        base=Side(named=trial.base.named, versions=_versions(before)),
        candidate=Side(named=trial.candidate.named, versions=_versions(ran)),
        limits=trial.limits,
        cases=tuple(cases),
        conditions=f"{machine}, {plan.device}, {plan.precision}, {plan.threads} threads; {where}",
        results=str(results.path),
        against=place,
    )


def _versions(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.framework_version for row in rows if row.framework_version))
