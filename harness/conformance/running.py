"""Running the suite on several backends side by side, each in workers of its own environment."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from backends.contract import Session, SessionSpec, Unsupported
from backends.registry import Manner
from harness.conformance.judge import Candidate
from harness.conformance.outcome import BackendReport, CheckOutcome
from harness.conformance.suite import Check, Suite
from harness.processes.launcher import WorkerFailed
from harness.processes.remote import RemoteWorker, open_worker
from harness.worker.epochs import Emit
from harness.worker.job import TrainingJob
from harness.worker.reports import Loaded, TrainedState, TrainingReport
from harness.worker.script import Call, Played

# No single verb of any check takes longer, on two cores beside other work; a worker that does is ended and counted as
# failed. A script is one verb of dozens of calls, for many of which some frameworks compile.
VERB_TIMEOUT_S = 900.0
SCRIPT_TIMEOUT_S = 1800.0

GROWN_MB = 4096
"""MiB. A worker that holds so much is replaced: MindSpore keeps all that it compiled, 15 GiB in the full scope."""


class SuiteStopped(BaseException):
    """The suite was interrupted; no failure of a backend, so it passes through what counts those."""


Progress = Callable[[str, int, int, Check, Sequence[CheckOutcome]], None]
"""Called after every check with backend and manner, how many are done, how many there are, the check, its outcomes."""


class Workplace:
    """Opens sessions of one backend in one manner: in a worker, and in a new one once that has died or grown too large.

    A worker has as many threads as what it is asked for says, so another number takes another worker.
    """

    def __init__(self, backend: str, tuning: Manner, *, python: Path | None = None) -> None:
        self._backend = backend
        self._tuning = tuning
        self._python = python
        self._processors = os.sched_getaffinity(0)
        self._workers = ExitStack()
        self._worker: RemoteWorker | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        self._start(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._workers.__exit__(kind, error, traceback)

    @property
    def loaded(self) -> Loaded:
        """What the framework says of itself."""
        return (self._worker or self._start(1)).loaded

    def open(self, spec: SessionSpec) -> Session:
        """A session. A worker that has died since the last one is replaced; one that dies now is the caller's error."""
        return self._worker_with(spec.threads).open(replace(spec, tuning=self._tuning))

    def train(self, job: TrainingJob, emit: Emit) -> tuple[TrainingReport, TrainedState]:
        """A training as a run has it: the worker's own loop, and what it keeps. Raises Unsupported like ``open``."""
        process = self._worker_with(job.spec.threads).process
        job = replace(job, spec=replace(job.spec, tuning=self._tuning))
        try:
            report = process.train(job, on_event=emit, timeout_s=VERB_TIMEOUT_S)
            return report, process.save(job.inputs / "native", timeout_s=VERB_TIMEOUT_S)
        except WorkerFailed as failure:
            if failure.status == "unsupported":
                raise Unsupported(failure.reason) from None
            raise

    def play(self, spec: SessionSpec, calls: Sequence[Call]) -> Played:
        """A script carried out in the worker. Raises like ``open``."""
        worker = self._worker_with(spec.threads)
        return worker.play(replace(spec, tuning=self._tuning), calls, timeout_s=SCRIPT_TIMEOUT_S)

    def stop(self) -> None:
        """End the worker from another thread, at once and for good: whatever waits for it fails."""
        self._stopped = True
        if self._worker is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._worker.process.pid, signal.SIGKILL)

    def _worker_with(self, threads: int) -> RemoteWorker:
        worker = self._worker
        if worker is None or worker.process.threads != threads or not worker.process.alive or _grown(worker):
            worker = self._start(threads)
        return worker

    def _start(self, threads: int) -> RemoteWorker:
        self._workers.close()
        if self._stopped:
            raise SuiteStopped
        own = os.sched_getaffinity(0)
        if threads > 1:  # run_suite leaves this thread one processor, which would hide what two can do
            os.sched_setaffinity(0, self._processors)
        try:
            worker = open_worker(
                self._backend, python=self._python, threads=threads, tuning=self._tuning, timeout_s=VERB_TIMEOUT_S
            )
            self._worker = self._workers.enter_context(worker)
        finally:
            os.sched_setaffinity(0, own)
        return self._worker


def _grown(worker: RemoteWorker) -> bool:
    """Whether it holds more than it should and nothing that is in use."""
    return not worker.in_use and worker.process.resident_mb > GROWN_MB


def run_suite(
    suite: Suite,
    pythons: Mapping[str, Path],
    manners: Mapping[str, Sequence[Manner]],
    *,
    levels: Sequence[str],
    progress: Progress,
) -> tuple[BackendReport, ...]:
    """Judge every backend in its interpreter and in its manners, with a worker at a time on each processor.

    A processor that finds no backend waiting to be begun helps with the checks of one that is not done. An interrupt
    ends the workers before it is passed on.
    """
    judgings = [
        _Judging(suite, backend, tuning, python, levels, progress)
        for backend, python in pythons.items()
        for tuning in manners[backend]
    ]
    # The last registered first: MindSpore, which compiles every network, must not be what the others wait for.
    waiting = iter(judgings[::-1])

    def judge_on(processor: int) -> None:
        # A thread's own affinity: the worker it starts inherits it, and so side-by-side workers do not share one.
        os.sched_setaffinity(0, {processor})
        for judging in waiting:  # each is given to one thread alone
            judging.work()
        for judging in judgings:
            judging.work()

    processors = sorted(os.sched_getaffinity(0))
    with threadpool_limits(1), ThreadPoolExecutor(max_workers=len(processors)) as pool:
        running = [pool.submit(judge_on, processor) for processor in processors]
        try:
            for each in as_completed(running):
                each.result()
        except BaseException:
            for judging in judgings:
                judging.stop()
            raise
    return tuple(judging.report() for judging in judgings)


class _Judging:
    """The checks of some levels on one backend in one manner, carried out by any number of threads."""

    def __init__(
        self, suite: Suite, backend: str, tuning: Manner, python: Path, levels: Sequence[str], progress: Progress
    ) -> None:
        self._backend, self._tuning, self._python, self._progress = backend, tuning, python, progress
        self._checks = suite.checks(levels)
        # Shared by the threads, each check is given to one alone. From the end, where those are that take longest.
        self._left = reversed(list(enumerate(self._checks)))
        self._outcomes: dict[int, list[CheckOutcome]] = {}
        self._workplaces: list[Workplace] = []
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._began = self._ended = 0.0
        self._stopped = False

    def work(self) -> None:
        """Carry out what is left, if anything is, in a worker of this thread's own."""
        first = next(self._left, None)
        if first is None:
            return
        with self._opened() as workplace:
            candidate = Candidate(name=self._title, open=workplace.open, train=workplace.train, play=workplace.play)
            for number, check in chain([first], self._left):
                self._note(number, check, check.run(candidate))
            self._loaded = workplace.loaded

    def stop(self) -> None:
        """End the workers from another thread, at once and for good."""
        with self._lock:
            self._stopped = True
            for workplace in self._workplaces:
                workplace.stop()

    def report(self) -> BackendReport:
        """What all checks found, in their order."""
        assert self._loaded is not None
        return BackendReport(
            backend=self._backend,
            tuning=self._tuning,
            framework_version=self._loaded.framework.framework_version,
            packages=self._loaded.framework.packages,
            outcomes=tuple(outcome for number in sorted(self._outcomes) for outcome in self._outcomes[number]),
            seconds=self._ended - self._began,
        )

    @property
    def _title(self) -> str:
        return f"{self._backend}, {self._tuning}"

    def _opened(self) -> Workplace:
        with self._lock:
            if self._stopped:
                raise SuiteStopped
            self._began = self._began or time.monotonic()
            self._workplaces.append(Workplace(self._backend, self._tuning, python=self._python))
            return self._workplaces[-1]

    def _note(self, number: int, check: Check, found: list[CheckOutcome]) -> None:
        with self._lock:
            if self._stopped:
                raise SuiteStopped
            self._outcomes[number] = found
            self._ended = time.monotonic()
            self._progress(self._title, len(self._outcomes), len(self._checks), check, found)
