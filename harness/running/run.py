"""One run from plan to record: prepare, start the worker, train, record. Whatever happens, a record is the outcome."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.datasets import Dataset
from harness.inputs.prepare import PreparedData
from harness.planning.manners import check_manner
from harness.planning.plan import RunPlan
from harness.planning.trainable import check_plan
from harness.processes.environments import find_python
from harness.processes.launcher import Refused, WorkerFailed, WorkerProcess
from harness.proving.proof import prove
from harness.running.advice import repair
from harness.running.events import Listener, Trouble
from harness.running.least_memory import explained_by_memory
from harness.running.preparing import prepared
from harness.running.recording import RunNotes, record_of, run_error
from harness.running.saving import save
from harness.worker.job import TrainingJob
from harness.worker.reports import EpochReport, Event, Phase, TrainingReport
from results.files import StoreError, explained
from results.record import Proof, Record, RunError, Status, bounded
from specs.errors import RequestError

Keep = Callable[[Record], None]
"""Called with the record as soon as there is one; what comes after cannot cost it."""


def new_run_id(plan: RunPlan) -> str:
    """A folder name that is unique and says what the run is: time, backend, model, seed."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    backend = plan.backend.subject.replace("@", "-")
    return f"{stamp}-{backend}-{plan.architecture.name[:60]}-s{plan.seed}-{secrets.token_hex(2)}"


def execute(
    plan: RunPlan,
    dataset: Dataset,
    folder: Path,
    run_id: str,
    listen: Listener,
    *,
    keep: Keep,
    save_to: Path | None = None,
) -> Record:
    """Carry out ``plan`` in ``folder`` (its log lands there), have its record kept, then its checkpoint ``save_to``.

    Raises RequestError alone: for what the user can only mend by asking for something else, and for storage that
    refuses the record. Ctrl-C ends the worker and gives a record with status interrupted.
    """
    check_plan(plan, dataset)
    check_manner(plan.backend, plan.tuning)
    python = find_python(plan.backend.subject, plan.python)
    run = _Run(plan, dataset, folder, run_id, listen, keep)
    try:
        return run.carry_out(python, save_to)
    except WorkerFailed as failure:
        return run.ended(failure.status, run_error(failure, plan.backend.subject, named=plan.python is not None))
    except KeyboardInterrupt:
        advice = f"Run it again: {plan.command(run.training)}"
        return run.ended("interrupted", RunError(kind="interrupted", message="stopped by the user", advice=advice))
    finally:
        shutil.rmtree(folder / "inputs", ignore_errors=True)


class _Run:
    """One run under way, and what is known of it so far."""

    def __init__(
        self, plan: RunPlan, dataset: Dataset, folder: Path, run_id: str, listen: Listener, keep: Keep
    ) -> None:
        self._plan = plan
        self._dataset = dataset
        self._folder = folder
        self._run_id = run_id
        self._listen = listen
        self._keep = keep
        self._notes = RunNotes(started_at=datetime.now(UTC), load_before=os.getloadavg()[0])
        self._start = time.monotonic()
        self._record: Record | None = None

    def carry_out(self, python: Path, save_to: Path | None) -> Record:
        """The record of a run that went well; it is kept before the checkpoint is made."""
        keep_state = save_to is not None
        self._notes.proof = self._proof(python)
        inputs = self._folder / "inputs"
        with prepared(self._plan, self._dataset, inputs, self._notes, self._listen, keep=keep_state) as (job, data):
            self._start = time.monotonic()
            with self._worker(python) as worker:
                report = self._trained(worker, job, python)
                record = self._kept(self._good_record(report, data))
                if save_to is not None:
                    self._save(worker, save_to, data, record)
        return record

    def _proof(self, python: Path) -> Proof:
        if not self._plan.proof:
            return Proof(status="skipped")
        self._listen(Phase(phase="proof"))
        return prove(self._plan, python)

    def ended(self, status: Status, error: RunError) -> Record:
        """The record of a run that ended otherwise; the one it has where it ended after that."""
        if self._record is not None:
            self._listen(Trouble(text=f"no checkpoint was kept: {error.message}"))
            return self._record
        self._notes.total_s = time.monotonic() - self._start
        try:
            record = record_of(self._plan, self._run_id, self._notes, status=status, error=error)
        except ValueError:
            self._notes.loaded = None  # the worker's description of itself is what is broken
            record = record_of(self._plan, self._run_id, self._notes, status=status, error=error)
        return self._kept(record)

    @property
    def training(self) -> str | None:
        """The fingerprint of the training, once it is known."""
        return self._notes.fingerprints.training

    def _worker(self, python: Path) -> WorkerProcess:
        self._listen(Phase(phase="import"))
        return WorkerProcess(
            self._plan.backend,
            python=python,
            threads=self._plan.threads,
            tuning=self._plan.tuning,
            architecture=self._plan.architecture,
            log=self._folder / "worker.log",
            memory_limit_mb=self._plan.memory_limit_mb,
        )

    def _trained(self, worker: WorkerProcess, job: TrainingJob, python: Path) -> TrainingReport:
        try:
            return self._train(worker, job)
        except WorkerFailed as failure:
            raise explained_by_memory(failure, self._plan, python, job) from None

    def _train(self, worker: WorkerProcess, job: TrainingJob) -> TrainingReport:
        self._notes.variables = worker.environment
        self._notes.variables_for_speed = worker.variables_for_speed
        self._notes.loaded = worker.load(timeout_s=self._time_left(), stall_s=self._plan.stall_timeout_s)
        return worker.train(job, self._hear, timeout_s=self._time_left(), stall_s=self._plan.stall_timeout_s)

    def _hear(self, event: Event) -> None:
        if isinstance(event, EpochReport):
            self._notes.epochs.append(event)
        self._listen(event)

    def _time_left(self) -> float | None:
        limit = self._plan.timeout_s
        return None if limit is None else max(0.0, self._start + limit - time.monotonic())

    def _good_record(self, report: TrainingReport, data: PreparedData) -> Record:
        """Raises WorkerFailed where what the worker sent makes no record: its figures are a stranger's words too."""
        self._notes.total_s = time.monotonic() - self._start
        labels = _test_labels(data)
        try:
            return record_of(self._plan, self._run_id, self._notes, report=report, test_labels=labels)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            reason = " ".join(str(error).split())[:300]
            message = f"broken result from the worker: {type(error).__name__}: {reason}"
            raise WorkerFailed("failed", message, kind="ProtocolError") from None

    def _kept(self, record: Record) -> Record:
        self._keep(record)
        self._record = record
        return record

    def _save(self, worker: WorkerProcess, place: Path, data: PreparedData, record: Record) -> None:
        try:
            save(worker, place, self._plan, record, data, self._dataset, timeout_s=self._time_left())
        except (StoreError, WorkerFailed) as error:
            self._listen(Trouble(text=f"no checkpoint was kept: {error}"))


def _test_labels(data: PreparedData) -> NDArray[np.int64]:
    file = data.folder / "test_labels.npy"
    try:
        with explained("read", file):
            labels: NDArray[np.int64] = np.load(file, allow_pickle=False)
            return labels
    except (ValueError, EOFError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{file}: broken prepared data: delete {data.folder}, it is made again") from None


def refused_record(plan: RunPlan, run_id: str, refusal: RequestError) -> Record:
    """The record of a run of a sweep that turned out impossible as asked: the others go on."""
    notes = RunNotes(started_at=datetime.now(UTC), load_before=os.getloadavg()[0])
    refused = isinstance(refusal, Refused)
    mend = repair(plan.backend.subject, named=plan.python is not None)
    error = RunError(
        kind="refused" if refused else "environment",
        message=bounded(str(refusal)),
        advice="Leave this backend out, or ask for what it has." if refused else mend,
    )
    return record_of(plan, run_id, notes, status="unsupported" if refused else "failed", error=error)
