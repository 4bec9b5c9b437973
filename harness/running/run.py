"""One run from plan to record: prepare, start the worker, train, record. Whatever happens, a record is the outcome."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.checkpoints import NATIVE
from harness.datasets import Dataset
from harness.inputs.augmented_epochs import augmented_epochs
from harness.inputs.prepare import PreparedData, prepare_data, run_inputs, training_sha256
from harness.planning.manners import check_manner
from harness.planning.plan import RunPlan
from harness.planning.resuming import check_continues, training_fingerprints
from harness.planning.trainable import check_plan
from harness.processes.environments import find_python
from harness.processes.launcher import Refused, WorkerFailed, WorkerProcess
from harness.running.advice import repair
from harness.running.recording import RunNotes, check_event, record_of, run_error
from harness.running.saving import gathering, save, unsaved
from harness.worker.training import TrainingJob, TrainingResult
from results.files import StoreError, explained
from results.record import Record, RunError, bounded
from specs.errors import RequestError

Listener = Callable[[dict[str, Any]], None]
"""Called with each event of a run: phases, progress within an epoch, epochs."""


def new_run_id(plan: RunPlan) -> str:
    """A folder name that is unique and says what the run is: time, backend, model, seed."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{plan.backend.name}-{plan.architecture.name[:60]}-s{plan.seed}-{secrets.token_hex(2)}"


def execute(
    plan: RunPlan, dataset: Dataset, folder: Path, run_id: str, listen: Listener, *, save_to: Path | None = None
) -> Record:
    """Carry out ``plan`` in ``folder`` (its log lands there) and return its record; ``save_to`` is its checkpoint.

    Raises RequestError alone: for what the user can only mend by asking for something else, and for storage that
    refuses. Ctrl-C ends the worker and gives a record with status interrupted.
    """
    check_plan(plan, dataset)
    check_manner(plan.backend, plan.tuning)
    python = find_python(plan.backend.name, plan.python)
    notes = RunNotes(started_at=datetime.now(UTC), load_before=os.getloadavg()[0])
    inputs = folder / "inputs"
    start = time.monotonic()
    record: Record | None = None
    try:
        listen({"event": "phase", "phase": "prepare"})
        data = prepare_data(
            dataset, plan.recipe.preprocessing, limit_train=plan.limit_train, limit_test=plan.limit_test
        )
        listen({"event": "size", "train_samples": data.train_samples})
        if plan.resumed:
            check_continues(plan.resumed, plan.recipe, data=data.fingerprint, samples=data.train_samples)
        given = run_inputs(
            plan.architecture,
            plan.recipe,
            seed=plan.seed,
            samples=data.train_samples,
            epochs=plan.epochs,
            resumed=plan.resumed,
        )
        given.write(inputs)
        training = training_sha256(
            plan.architecture, plan.recipe, data=data.fingerprint, epochs=plan.epochs, resumed=plan.resumed
        )
        notes.fingerprints = {"data": data.fingerprint, "training": training, **given.fingerprints()}
        notes.samples = (data.train_samples, data.test_samples)
        job = TrainingJob(
            spec=plan.session,
            data=str(data.folder),
            inputs=str(inputs.absolute()),
            start_epoch=plan.epochs.start,
            epochs=plan.epochs.stop,
            batch_size=plan.recipe.batch_size,
            preprocessing=plan.recipe.preprocessing,
        )
        with _augmented(plan, dataset, data, notes, listen) as folder_of_epochs, gathering(save_to) as checkpoint:
            native = str(checkpoint / NATIVE) if checkpoint else None
            job = replace(job, augmented=folder_of_epochs, save_to=native)
            start = time.monotonic()
            result = _train(plan, job, python, folder / "worker.log", notes, listen)
            notes.total_s = time.monotonic() - start
            record = _good_record(plan, run_id, notes, result, data.folder / "test_labels.npy")
            if checkpoint:
                save(
                    checkpoint,
                    plan,
                    record,
                    result,
                    fingerprints=training_fingerprints(plan, data, notes.fingerprints),
                    images=dataset.train_images[: data.train_samples],
                )
        return record
    except StoreError as error:
        if record is None:
            raise
        return unsaved(record, error)
    except WorkerFailed as failure:
        notes.total_s = time.monotonic() - start
        return _failed_record(plan, run_id, notes, failure)
    except KeyboardInterrupt:
        notes.total_s = time.monotonic() - start
        stop = RunError(kind="interrupted", message="stopped by the user", advice=f"Run it again: {plan.command()}")
        return record_of(plan, run_id, notes, status="interrupted", error=stop)
    finally:
        shutil.rmtree(inputs, ignore_errors=True)


@contextmanager
def _augmented(
    plan: RunPlan, dataset: Dataset, data: PreparedData, notes: RunNotes, listen: Listener
) -> Iterator[str | None]:
    """The folder of the run's augmented epochs, made where they are missing; None for a recipe that has none."""
    augmentation = plan.recipe.augmentation
    if not augmentation.active:
        yield None
        return

    def progress(done: int, of: int) -> None:
        listen({"event": "phase", "phase": f"augmented {done} of {of} epochs"})

    progress(0, len(plan.epochs))
    start = time.monotonic()
    with augmented_epochs(
        dataset.train_images[: data.train_samples],
        augmentation,
        dataset_sha256=dataset.sha256,
        seed=plan.seed,
        epochs=plan.epochs,
        progress=progress,
    ) as augmented:
        notes.augment_s = time.monotonic() - start
        both = [data.fingerprint, augmented.fingerprint]
        notes.fingerprints["data"] = hashlib.sha256("".join(both).encode()).hexdigest()
        yield str(augmented.folder)


def refused_record(plan: RunPlan, run_id: str, refusal: RequestError) -> Record:
    """The record of a run of a matrix that turned out impossible as asked: the others go on."""
    notes = RunNotes(started_at=datetime.now(UTC), load_before=os.getloadavg()[0])
    refused = isinstance(refusal, Refused)
    mend = repair(plan.backend.name, named=plan.python is not None)
    error = RunError(
        kind="refused" if refused else "environment",
        message=bounded(str(refusal)),
        advice="Leave this backend out, or ask for what it has." if refused else mend,
    )
    return record_of(plan, run_id, notes, status="unsupported" if refused else "failed", error=error)


def _good_record(plan: RunPlan, run_id: str, notes: RunNotes, result: TrainingResult, labels: Path) -> Record:
    """Raises WorkerFailed where what the worker sent makes no record: its figures are a stranger's words too."""
    try:
        with explained("read", labels):
            test_labels = np.load(labels, allow_pickle=False)
    except (ValueError, EOFError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{labels}: broken prepared data: delete {labels.parent}, it is made again") from None
    try:
        return record_of(plan, run_id, notes, result=result, test_labels=test_labels)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise WorkerFailed("failed", f"broken result from the worker: {_brief(error)}", kind="ProtocolError") from None


def _failed_record(plan: RunPlan, run_id: str, notes: RunNotes, failure: WorkerFailed) -> Record:
    error = run_error(failure, plan.backend.name)
    try:
        return record_of(plan, run_id, notes, status=failure.status, error=error)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, AttributeError):
        notes.description = {}  # the worker's description of itself is what is broken
        return record_of(plan, run_id, notes, status=failure.status, error=error)  # type: ignore[arg-type]


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _train(
    plan: RunPlan, job: TrainingJob, python: Path, log: Path, notes: RunNotes, listen: Listener
) -> TrainingResult:
    def on_event(event: dict[str, Any]) -> None:
        try:
            check_event(event)
        except (KeyError, TypeError, ValueError) as error:
            message = f"train: broken event from the worker: {_brief(error)}"
            raise WorkerFailed("failed", message, kind="ProtocolError") from None
        if event["event"] == "epoch":
            notes.epochs.append({key: value for key, value in event.items() if key != "event"})
        listen(event)

    deadline = None if plan.timeout_s is None else time.monotonic() + plan.timeout_s
    listen({"event": "phase", "phase": "import"})
    with WorkerProcess(
        plan.backend,
        python=python,
        threads=plan.threads,
        tuning=plan.tuning,
        architecture=plan.architecture,
        log=log,
        memory_limit_mb=plan.memory_limit_mb,
    ) as worker:
        notes.variables, notes.variables_for_speed = worker.environment, worker.variables_for_speed
        notes.description = worker.load(timeout_s=plan.timeout_s, stall_s=plan.stall_timeout_s)
        answer = worker.request(
            "train",
            job.to_dict(),
            on_event=on_event,
            timeout_s=None if deadline is None else deadline - time.monotonic(),
            stall_s=plan.stall_timeout_s,
        )
    return TrainingResult(answer.fields, answer.arrays)
