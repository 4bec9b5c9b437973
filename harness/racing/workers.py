"""A race of workers: opened one after another as far as the memory goes, all stopped but the one at work."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.datasets import Dataset
from harness.inputs.prepare import run_inputs, training_sha256
from harness.planning.plan import RunPlan
from harness.planning.trainable import prepared_data
from harness.processes.environments import find_python
from harness.processes.launcher import WorkerFailed, WorkerProcess
from harness.racing.race import Course, Entrant, Listen, OutOfRace, Rules
from harness.worker.job import TrainingJob
from harness.worker.reports import Turn
from results.race import Race, Racer, now
from results.record import bounded
from specs.errors import RequestError

SETTLE_S = 0.05
"""At the begin of a turn, not counted: caches are cold, threads are woken."""
RESERVE_MB = 512.0
"""Of memory left alone: what the machine does beside the race."""
GROWTH = 1.1
PATIENCE_S = 600.0
"""For one turn, or for opening: a step of the reference on a large network takes long, none takes so long."""


class Stopped:
    """A worker under SIGSTOP but for its turns: threads that spin while they wait take nothing of another's turn.

    It is stopped when it has answered: then its device has finished, and what still runs waits for work.
    """

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        process.pause()

    def turn(self, seconds: float) -> Turn:
        """See ``Entrant.turn``."""
        self._process.proceed()
        try:
            return self._process.turn(settle_s=SETTLE_S, seconds=seconds, timeout_s=PATIENCE_S)
        except (WorkerFailed, RequestError) as error:
            raise OutOfRace(str(error)) from None
        finally:
            self._process.pause()


def run_race(
    plans: Sequence[RunPlan],
    dataset: Dataset,
    rules: Rules,
    listen: Listen,
    *,
    baseline: str,
    needs_mb: Mapping[int, float] | None = None,
) -> Race:
    """Race plans that differ in backend and manner alone.

    ``needs_mb`` maps places among the plans to the memory that their training took at most; of others the largest of
    those already open is assumed. Where they do not all fit they race in groups, each with the baseline, and share the
    budget. Raises RequestError and StoreError for inputs that cannot be made; a worker that fails is out of the race.
    """
    first, data = plans[0], prepared_data(plans[0], dataset)
    inputs = run_inputs(first.architecture, first.recipe, seed=first.seed, samples=data.train_samples)
    start = Race(
        started_at=now(),
        model=first.architecture.name,
        dataset=first.dataset,
        training=training_of(first, dataset),
        device=first.device,
        precision=first.precision,
        threads=first.threads,
        baseline=baseline_of(plans, baseline),
        turn_s=rules.turn_s,
        share=rules.share,
        target=rules.target,
        budget_s=rules.budget_s,
        seconds=0.0,
        ended="interrupted",
        racers=tuple(Racer(backend=plan.backend.name, manner=plan.tuning) for plan in plans),
    )
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        inputs.write(Path(folder))
        return _Stable(plans, data.folder, Path(folder), needs_mb or {}).race(
            Course(start, rules), start, rules, listen
        )


def training_of(plan: RunPlan, dataset: Dataset) -> str:
    """The fingerprint of what a plan trains, as its record has it."""
    data = prepared_data(plan, dataset)
    return training_sha256(plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs)


def baseline_of(plans: Sequence[RunPlan], backend: str) -> int:
    """The place of the one that ratios are taken to: the backend's recommended manner, else its first; or the first."""
    own = [place for place, plan in enumerate(plans) if plan.backend.name == backend]
    return next((place for place in own if plans[place].tuning == "recommended"), own[0] if own else 0)


class _Stable:
    """The workers of a race, opened and ended in groups that fit the memory."""

    def __init__(self, plans: Sequence[RunPlan], data: Path, inputs: Path, needs_mb: Mapping[int, float]) -> None:
        self._plans = plans
        self._data = data
        self._inputs = inputs
        self._needs_mb = needs_mb
        self._largest_mb = 0.0

    def race(self, course: Course, start: Race, rules: Rules, listen: Listen) -> Race:
        """The race, group after group."""
        rivals = [place for place in range(len(self._plans)) if place != start.baseline]
        count = len(rivals)
        with ExitStack() as kept:
            base = self._enter(course, start.baseline, kept)
            while base is not None and rivals:
                with ExitStack() as group:
                    entrants: dict[int, Entrant] = {}
                    begun = len(rivals)
                    while rivals and (not entrants or self._fits(rivals[0])):
                        place = rivals.pop(0)
                        if (entrant := self._enter(course, place, group)) is not None:
                            entrants[place] = entrant
                    share = (begun - len(rivals)) / count
                    course.run({start.baseline: base, **entrants}, listen, budget_s=rules.budget_s * share)
        return course.standing

    def _enter(self, course: Course, place: int, stack: ExitStack) -> Entrant | None:
        """A worker warmed up and stopped; None where it failed, which the course is told."""
        plan = self._plans[place]
        try:
            with ExitStack() as opening:
                process = opening.enter_context(
                    WorkerProcess(
                        plan.backend,
                        python=find_python(plan.backend.name, plan.python),
                        threads=plan.threads,
                        tuning=plan.tuning,
                        architecture=plan.architecture,
                        memory_limit_mb=plan.memory_limit_mb,
                    )
                )
                loaded = process.load(timeout_s=PATIENCE_S)
                process.begin_turns(self._job(plan), timeout_s=PATIENCE_S)
                stack.enter_context(opening.pop_all())
        except (WorkerFailed, RequestError) as error:
            course.out(place, bounded(str(error)))
            return None
        course.opened(place, loaded.framework.framework_version)
        self._largest_mb = max(self._largest_mb, resident_mb(process.pid))
        return Stopped(process)

    def _job(self, plan: RunPlan) -> TrainingJob:
        return TrainingJob(
            spec=plan.session,
            data=self._data,
            inputs=self._inputs,
            epochs=plan.epochs.stop,
            batch_size=plan.recipe.batch_size,
            preprocessing=plan.recipe.preprocessing,
        )

    def _fits(self, place: int) -> bool:
        return available_mb() - RESERVE_MB >= self._needs_mb.get(place, GROWTH * self._largest_mb)


def available_mb() -> float:
    """MiB of memory that can be had without swapping."""
    import psutil

    return float(psutil.virtual_memory().available) / 2**20


def resident_mb(pid: int) -> float:
    """MiB that a process holds."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / 2**20
