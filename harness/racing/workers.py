"""The workers of a race: opened side by side as far as the memory goes, all stopped but the one at work."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.measuring.machine import available_cpus
from harness.measuring.memory import available_mb
from harness.planning.plan import RunPlan
from harness.processes.environments import find_python
from harness.processes.launcher import WorkerFailed, WorkerProcess
from harness.racing.race import Course, Entrant, OutOfRace
from harness.worker.job import TakeTurn, TrainingJob
from harness.worker.reports import Turn
from specs.errors import RequestError

SETTLE_S = 0.05
"""At the begin of a turn, not counted: caches are cold, threads are woken."""
RESERVE_MB = 512.0
"""Of memory left alone: what the machine does beside the race."""
GROWTH = 1.1
PATIENCE_S = 600.0
"""For one turn, or for opening: a step of the reference on a large network takes long, none takes so long."""


class StoppedWorker:
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
        return self._process.resident_mb

    def turn(self, seconds: float) -> Turn:
        """See ``Entrant.turn``."""
        self._process.proceed()
        try:
            return self._process.turn(TakeTurn(settle_s=SETTLE_S, seconds=seconds), timeout_s=PATIENCE_S)
        except (WorkerFailed, RequestError) as error:
            raise OutOfRace(str(error)) from None
        finally:
            self._process.pause()


@contextmanager
def opened(plan: RunPlan, data: Path, inputs: Path) -> Iterator[StoppedWorker]:
    """A worker warmed up and stopped, on these folders of arrays. Raises WorkerFailed and RequestError."""
    with _started(plan) as process:
        version = _compiled(process, _job(plan, data, inputs))
        yield _warm(process, version)


class Workers:
    """The workers of a race, opened and ended in groups that fit the memory."""

    def __init__(
        self, plans: Sequence[RunPlan], baseline: int, data: Path, inputs: Path, needs_mb: Mapping[int, float]
    ) -> None:
        self._plans = plans
        self._baseline = baseline
        self._jobs = [_job(plan, data, inputs) for plan in plans]
        self._needs_mb = dict(needs_mb)
        self._largest_mb = 0.0

    def opening(self, course: Course) -> Generator[tuple[Mapping[int, Entrant], float]]:
        """See ``harness.racing.race.Stable``."""
        waiting = [place for place in course.left() if place != self._baseline]
        count = len(waiting)
        waiting.insert(0, self._baseline)
        base: dict[int, Entrant] = {}
        with ExitStack() as kept:
            while waiting:
                with ExitStack() as group:
                    begun, entrants = len(waiting) - (not base), dict(base)
                    while number := min(max(self._fitting(waiting), len(entrants) < 2), len(waiting)):
                        together, waiting = waiting[:number], waiting[number:]
                        entrants |= self._enter(course, together, kept, group)
                        if self._baseline not in entrants:
                            return
                    base = {self._baseline: entrants[self._baseline]}
                    yield entrants, (begun - len(waiting)) / max(count, 1)

    def _fitting(self, waiting: Sequence[int]) -> int:
        """How many of these, the first ones, may be opened at once: one by one while it is not known what they need."""
        left = available_mb() - RESERVE_MB
        for number, place in enumerate(waiting):
            left -= self._needs_mb.get(place, GROWTH * self._largest_mb)
            if left < 0:
                return number
            if place not in self._needs_mb:
                return number or 1
        return len(waiting)

    def _enter(self, course: Course, places: Sequence[int], kept: ExitStack, group: ExitStack) -> dict[int, Entrant]:
        """Workers warmed up and stopped; not those that failed, which the course is told.

        All are started by this thread, since a worker ends with the thread that started it.
        """
        entrants: dict[int, Entrant] = {}
        own = {place: (kept if place == self._baseline else group).enter_context(ExitStack()) for place in places}
        processes: dict[int, WorkerProcess] = {}

        @contextmanager
        def telling(place: int) -> Iterator[None]:
            try:
                yield
            except (WorkerFailed, RequestError) as error:
                own[place].close()
                course.out(place, str(error))

        for place in places:
            with telling(place):
                processes[place] = own[place].enter_context(_started(self._plans[place]))
        compiled = _side_by_side(processes, self._jobs)
        for place, process in processes.items():
            with telling(place):
                worker = _warm(process, compiled[place].result())
                course.opened(place, worker.version)
                self._largest_mb = max(self._largest_mb, worker.resident_mb)
                self._needs_mb.setdefault(place, GROWTH * worker.resident_mb)
                entrants[place] = worker
        return entrants


def _started(plan: RunPlan) -> WorkerProcess:
    return WorkerProcess(
        plan.backend,
        python=find_python(plan.backend.subject, plan.python),
        threads=plan.threads,
        tuning=plan.tuning,
        architecture=plan.architecture,
        memory_limit_mb=plan.memory_limit_mb,
    )


def _job(plan: RunPlan, data: Path, inputs: Path) -> TrainingJob:
    return TrainingJob(
        spec=plan.session,
        data=data,
        inputs=inputs,
        epochs=plan.epochs.stop,
        batch_size=plan.recipe.batch_size,
        preprocessing=plan.recipe.preprocessing,
    )


def _side_by_side(processes: Mapping[int, WorkerProcess], jobs: Sequence[TrainingJob]) -> dict[int, Future[str]]:
    """Have them import and compile, as many at a time as there are processors; all are done when this returns."""
    with ThreadPoolExecutor(available_cpus()) as pool:
        try:
            compiled = {place: pool.submit(_compiled, process, jobs[place]) for place, process in processes.items()}
            wait(compiled.values())
        except BaseException:  # the pool's threads wait for answers, and leaving it for its threads
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes.values():
                process.kill()
            raise
    return compiled


def _compiled(process: WorkerProcess, job: TrainingJob) -> str:
    """Stop it once its framework is imported and its training compiled; the framework's version."""
    loaded = process.load(timeout_s=PATIENCE_S)
    process.begin_turns(job, timeout_s=PATIENCE_S)
    process.pause()
    return loaded.framework.framework_version


def _warm(process: WorkerProcess, version: str) -> StoppedWorker:
    process.proceed()
    process.warm_up(timeout_s=PATIENCE_S)
    return StoppedWorker(process, version)
