"""A base that was trained before: its runs in a result set, for what may be held against them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.datasets import load_dataset
from harness.gating.sides import Sided, cases
from harness.planning.plan import RunPlan
from harness.racing.plans import training_of
from results.record import Row
from results.store import ResultSet
from specs.errors import RequestError
from specs.versioned import is_version, version_order


def stored_base(base: Sided, results: ResultSet) -> dict[tuple[str, str], list[Row]]:
    """The last run of each seed of every model and data set.

    Of a version that was not named there may be one alone. Raises RequestError where a case has no such run.
    """
    rows, _ = results.rows()
    return {(plans[0].model, plans[0].dataset): _rows(base, plans, rows, results) for plans in cases(base)}


def _rows(base: Sided, plans: Sequence[RunPlan], rows: Sequence[Row], results: ResultSet) -> list[Row]:
    plan = plans[0]
    training = training_of(plan, load_dataset(plan.dataset, plan.data_dir))
    wanted = (training, plan.backend.name, plan.tuning, plan.precision)
    found = [
        row
        for row in rows
        if (row.fingerprints.training, row.backend, row.tuning.manner, row.precision) == wanted and row.status == "ok"
    ]
    version = plan.backend.version
    versions = sorted({row.framework_version or "" for row in found}, key=version_order)
    if version is not None:
        found = [row for row in found if is_version(version, row.framework_version)]
    elif len(versions) > 1:
        exact = f"{plan.backend.name}@{versions[-1]}"
        raise RequestError(
            f"--against {results.path}: it has {base.named} in versions {', '.join(versions)}: name one, {exact} say"
        )
    last = {row.seed: row for row in found if row.seed in {plan.seed for plan in plans}}
    if not last:
        there = sorted({f"{row.backend}:{row.tuning.manner} {row.model} on {row.dataset}" for row in rows})
        raise RequestError(
            f"--against {results.path}: no run of {base.named} that trained {plan.model} on {plan.dataset} "
            f"as asked here, with such a seed; it has {', '.join(there[:10]) or 'no run'}"
        )
    if missing := [str(plan.seed) for plan in plans if plan.seed not in last]:
        seeds = ",".join(str(seed) for seed in sorted(last))
        raise RequestError(
            f"--against {results.path}: no run of {base.named} on {plan.dataset} with seed {', '.join(missing)}; "
            f"it has --seeds {seeds}"
        )
    return list(last.values())
