"""``race``: backends on one training by turns, until it is known how many times as fast each is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import RaceChoices

if TYPE_CHECKING:
    from harness.planning.plan import RunPlan
    from results.record import Proof


@takes(RaceChoices)
def race(chosen: Chosen[RaceChoices], json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Race backends by turns on each model and data set; the machine's other work costs time, not truth.

    All are open at once and one is at work. A turn during which others were busy does not count. Who does not compute
    the same takes no part. Nothing is kept; `compare` keeps its races.

    Example: `python -m harness race --backends torch,keras --models lenet5 --datasets digits --budget 30`
    """
    import json as json_module

    from harness.cli.checkpoint_options import tell
    from harness.cli.compare import check_baseline, here
    from harness.cli.race_display import RaceDisplay, print_race
    from harness.datasets import load_dataset
    from harness.execution.sweep import Sweep
    from harness.planning.study import Study, plans_of
    from harness.racing.cases import cases, rules_of
    from harness.racing.plans import run_race
    from specs.errors import RequestError

    asked = Study(name="race", repeats=1, **here(chosen.given))
    check_baseline(asked, chosen.given)
    plans = plans_of(asked)
    groups = cases(plan for _, plan in plans)
    if not groups:
        raise RequestError("a race takes two at the least: name several --backends, or --tuning all")
    tell(Sweep.check(plans))
    races, proofs = [], []
    for group in groups:
        dataset = load_dataset(group[0].dataset, group[0].data_dir)
        try:
            with RaceDisplay(quiet=quiet) as display:
                display.begun(group)
                proofs.append(_proofs(group))
                out = _disproved(proofs[-1])
                races.append(
                    run_race(group, dataset, rules_of(asked), display.standing, baseline=asked.baseline, out=out)
                )
        except KeyboardInterrupt:
            print("interrupted; its workers are ended", file=sys.stderr)
            return 130
        if not json:
            print_race(races[-1], proofs[-1])
    if json:
        told = [
            {**race.model_dump(by_alias=True), "ratios": race.summary(), "proofs": [one.model_dump() for one in own]}
            for race, own in zip(races, proofs, strict=True)
        ]
        print(json_module.dumps(told, indent=2))
    return 0 if not any(map(_disproved, proofs)) and all(one.ranked for one in races) else 1


def _disproved(proofs: Sequence[Proof]) -> dict[int, str]:
    """Who takes no part, by place, and why."""
    from results.words import Words

    why = Words().reason("disproved")
    return {place: f"{why}: {proof.told}" for place, proof in enumerate(proofs) if proof.status == "failed"}


def _proofs(plans: Sequence[RunPlan]) -> list[Proof]:
    """The proof of each."""
    from harness.processes.environments import find_python
    from harness.proving.proof import prove
    from results.record import Proof, bounded
    from specs.errors import RequestError

    def proof(plan: RunPlan) -> Proof:
        if not plan.proof:
            return Proof(status="skipped")
        try:
            return prove(plan, find_python(plan.backend.subject, plan.python))
        except RequestError as refusal:  # of this backend alone: the others race
            return Proof(status="unsupported", reason=bounded(str(refusal), 500))

    return [proof(plan) for plan in plans]
