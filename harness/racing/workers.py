"""The workers of a race: opened one after another as far as the memory goes, all stopped but the one at work."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.measuring.memory import available_mb
from harness.planning.plan import RunPlan
from harness.processes.environments import find_python
from harness.processes.launcher import WorkerFailed, WorkerProcess
from harness.racing.race import Course, Entrant, OutOfRace
from harness.worker.job import TrainingJob
from harness.worker.reports import Turn
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

    def __init__(self, process: WorkerProcess, version: str) -> None:
        self.version = version
        self._process = process
        process.pause()

    @property
    def resident_mb(self) -> float:
        """MiB that it holds."""
        import psutil

        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def turn(self, seconds: float) -> Turn:
        """See ``Entrant.turn``."""
        self._process.proceed()
        try:
            return self._process.turn(settle_s=SETTLE_S, seconds=seconds, timeout_s=PATIENCE_S)
        except (WorkerFailed, RequestError) as error:
            raise OutOfRace(str(error)) from None
        finally:
            self._process.pause()


@contextmanager
def opened(plan: RunPlan, data: Path, inputs: Path) -> Iterator[Stopped]:
    """A worker warmed up and stopped, on these folders of arrays. Raises WorkerFailed and RequestError."""
    job = TrainingJob(
        spec=plan.session,
        data=data,
        inputs=inputs,
        epochs=plan.epochs.stop,
        batch_size=plan.recipe.batch_size,
        preprocessing=plan.recipe.preprocessing,
    )
    with WorkerProcess(
        plan.backend,
        python=find_python(plan.backend.subject, plan.python),
        threads=plan.threads,
        tuning=plan.tuning,
        architecture=plan.architecture,
        memory_limit_mb=plan.memory_limit_mb,
    ) as process:
        loaded = process.load(timeout_s=PATIENCE_S)
        process.begin_turns(job, timeout_s=PATIENCE_S)
        yield Stopped(process, loaded.framework.framework_version)


class Workers:
    """The workers of a race, opened and ended in groups that fit the memory."""

    def __init__(
        self, plans: Sequence[RunPlan], baseline: int, data: Path, inputs: Path, needs_mb: Mapping[int, float]
    ) -> None:
        self._plans = plans
        self._baseline = baseline
        self._data = data
        self._inputs = inputs
        self._needs_mb = needs_mb
        self._largest_mb = 0.0

    def opening(self, course: Course) -> Generator[tuple[Mapping[int, Entrant], float]]:
        """See ``harness.racing.race.Stable``."""
        rivals = [place for place in course.left() if place != self._baseline]
        count = len(rivals)
        with ExitStack() as kept:
            base = self._enter(course, self._baseline, kept)
            while base is not None and rivals:
                with ExitStack() as group:
                    entrants: dict[int, Entrant] = {}
                    begun = len(rivals)
                    while rivals and (not entrants or self._fits(rivals[0])):
                        place = rivals.pop(0)
                        if (entrant := self._enter(course, place, group)) is not None:
                            entrants[place] = entrant
                    yield {self._baseline: base, **entrants}, (begun - len(rivals)) / count

    def _enter(self, course: Course, place: int, stack: ExitStack) -> Entrant | None:
        """A worker warmed up and stopped; None where it failed, which the course is told."""
        try:
            worker = stack.enter_context(opened(self._plans[place], self._data, self._inputs))
        except (WorkerFailed, RequestError) as error:
            course.out(place, str(error))
            return None
        course.opened(place, worker.version)
        self._largest_mb = max(self._largest_mb, worker.resident_mb)
        return worker

    def _fits(self, place: int) -> bool:
        return available_mb() - RESERVE_MB >= self._needs_mb.get(place, GROWTH * self._largest_mb)
