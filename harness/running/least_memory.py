"""A worker that a memory limit keeps from its work: how much it takes, tried out and not guessed."""

from __future__ import annotations

import re
import time
from pathlib import Path

from harness.planning.plan import RunPlan
from harness.processes.launcher import WorkerFailed, WorkerProcess
from harness.worker.job import TrainingJob
from harness.worker.reports import EpochReport, Event
from results.record import Status
from specs.errors import RequestError

_ATTEMPTS = 4
_GROWTH = 1.25
_ROUNDED_MB = 10
_LONG_ENOUGH_S = 5.0  # of training: what is not needed by then is not needed to start
_PATIENCE_S = 120.0

_known: dict[tuple[object, ...], int | None] = {}


class _Begun(Exception):
    """The training is well under way."""


def explained_by_memory(failure: WorkerFailed, plan: RunPlan, python: Path, job: TrainingJob) -> WorkerFailed:
    """The failure of a worker under a limit of memory, as that and with the least that works; any other as it is.

    The least is found by beginning the same training without the limit, and again under what it then held. Where it
    does not begin without the limit either, memory is not the cause.
    """
    limit = plan.memory_limit_mb
    if limit is None or failure.status not in ("failed", "crashed", "out_of_memory"):
        return failure
    key = (plan.backend.name, str(python), plan.session, plan.recipe.batch_size)
    if key not in _known:
        _known[key] = _least(plan, python, job)
    least = _known[key]
    if least is None or least <= limit:
        return _retold(failure, failure.status, f"{failure} (under --memory-limit {limit})")
    title = plan.backend.title
    message = f"{limit} MiB are too little for {title} to start: the least that works is --memory-limit {least}"
    return _retold(failure, "out_of_memory", message)


def _retold(failure: WorkerFailed, status: Status, message: str) -> WorkerFailed:
    return WorkerFailed(
        status,
        message,
        kind="MemoryError" if status == "out_of_memory" else failure.kind,
        doing=failure.doing,
        traceback=failure.traceback,
        exit_code=failure.exit_code,
        signal_name=failure.signal_name,
        log_tail=failure.log_tail,
        step=failure.step,
    )


def _least(plan: RunPlan, python: Path, job: TrainingJob) -> int | None:
    """MiB of a limit under which the training begins, rounded up; None where it does not begin at all."""
    held = _held(plan, python, job, None)
    for _ in range(_ATTEMPTS):
        if held is None:
            return None
        limit = -int(-held // _ROUNDED_MB) * _ROUNDED_MB
        if _held(plan, python, job, limit) is not None:
            return limit
        held = limit * _GROWTH
    return None


def _held(plan: RunPlan, python: Path, job: TrainingJob, limit_mb: int | None) -> float | None:
    """The most MiB of private writable memory (VmData: what the limit counts) when events came; None: it failed."""
    most = 0.0
    started = time.monotonic()

    def hear(event: Event) -> None:
        nonlocal most
        most = max(most, _vm_data_mb(worker.pid))
        if isinstance(event, EpochReport) or time.monotonic() - started > _LONG_ENOUGH_S:
            raise _Begun

    try:
        with WorkerProcess(
            plan.backend,
            python=python,
            threads=plan.threads,
            tuning=plan.tuning,
            architecture=plan.architecture,
            memory_limit_mb=limit_mb,
        ) as worker:
            worker.load(timeout_s=_PATIENCE_S)
            started = time.monotonic()
            worker.train(job, hear, timeout_s=_PATIENCE_S)
    except _Begun:
        return most
    except (WorkerFailed, RequestError, OSError):
        return None
    return most


def _vm_data_mb(pid: int) -> float:
    found = re.search(r"^VmData:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
