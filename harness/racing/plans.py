"""A race of plans that differ in backend and manner alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.datasets import Dataset
from harness.inputs.prepare import run_inputs, training_sha256
from harness.measuring.machine import machine
from harness.measuring.others import used_by_others
from harness.planning.plan import RunPlan
from harness.planning.trainable import prepared_data
from harness.racing.race import Course, Listen, Rules
from harness.racing.workers import Workers
from results.race import Race, Racer, now


class RaceInterrupted(KeyboardInterrupt):
    """A race was stopped by the user; ``race`` is what it came to."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        self.race = race


def run_race(
    plans: Sequence[RunPlan],
    dataset: Dataset,
    rules: Rules,
    listen: Listen,
    *,
    baseline: str,
    needs_mb: Mapping[int, float] | None = None,
    out: Mapping[int, str] | None = None,
) -> Race:
    """Race plans.

    ``needs_mb`` maps places among the plans to the memory that their training took at most; of others the largest of
    those already open is assumed. Where they do not all fit they race in groups, each with the baseline, and share the
    budget. ``out`` maps the places of those that take no part to the reason. Raises RequestError and StoreError for
    inputs that cannot be made, RaceInterrupted for KeyboardInterrupt; a worker that fails is out of the race.
    """
    start = before_the_start(plans, dataset, rules, baseline=baseline, out=out or {})
    with arrays(plans[0], dataset) as (data, inputs):
        workers = Workers(plans, start.baseline, data, inputs, needs_mb or {})
        course = Course(start, rules, usage=used_by_others)
        try:
            course.race(workers, listen)
        except KeyboardInterrupt:
            raise RaceInterrupted(course.standing) from None
        return course.standing


def before_the_start(
    plans: Sequence[RunPlan], dataset: Dataset, rules: Rules, *, baseline: str, out: Mapping[int, str]
) -> Race:
    """The race of these plans without any round; those in ``out`` take no part."""
    first = plans[0]
    there = [place for place in range(len(plans)) if place not in out]
    base = baseline_of([plans[place] for place in there], baseline)
    return Race(
        started_at=now(),
        model=first.architecture.name,
        dataset=first.dataset,
        training=training_of(first, dataset),
        device=first.device,
        precision=first.precision,
        threads=first.threads,
        machine=machine(),
        baseline=there[base] if there else 0,
        turn_s=rules.turn_s,
        share=rules.share,
        target=rules.target,
        budget_s=rules.budget_s,
        seconds=0.0,
        ended="interrupted",
        racers=tuple(
            Racer(backend=plan.backend.name, manner=plan.tuning, error=out.get(place))
            for place, plan in enumerate(plans)
        ),
    )


@contextmanager
def arrays(plan: RunPlan, dataset: Dataset) -> Iterator[tuple[Path, Path]]:
    """The folders with the data and with the weights, orders and rates of a plan; the latter is there meanwhile."""
    data = prepared_data(plan, dataset)
    inputs = run_inputs(plan.architecture, plan.recipe, seed=plan.seed, samples=data.train_samples)
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        inputs.write(Path(folder))
        yield data.folder, Path(folder)


def training_of(plan: RunPlan, dataset: Dataset) -> str:
    """The fingerprint of what a plan trains, as its record has it."""
    data = prepared_data(plan, dataset)
    return training_sha256(plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs)


def baseline_of(plans: Sequence[RunPlan], backend: str) -> int:
    """The place of the one that ratios are taken to: the backend's recommended manner, else its first; or the first."""
    own = [place for place, plan in enumerate(plans) if backend in (plan.backend.subject, plan.backend.name)]
    return next((place for place in own if plans[place].tuning == "recommended"), own[0] if own else 0)
