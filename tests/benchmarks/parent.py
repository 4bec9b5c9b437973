"""What the parent process adds to a run: its wall time beside the life of its worker.

NumPy trains mlp on all of MNIST, because there the worker itself starts soonest; the parent does the same for every
backend: starting the worker, order of batches, initial weights, record, gallery.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import TracebackType
from unittest.mock import patch

from harness.execution.sweep import Sweep
from harness.planning.study import Study, plans_of
from harness.processes.launcher import WorkerProcess
from harness.running import run
from results.record import Record
from results.store import ResultSet

STUDY = Study(name="parent", backends=("numpy",), models=("mlp",), repeats=8, epochs=1)


def measure() -> list[float]:
    """Seconds of the parent for each run but the first, for which it may have to prepare the data."""
    seconds: list[float] = []
    started = alive = 0.0

    class Timed(WorkerProcess):
        def __enter__(self) -> Timed:
            self.entered = time.monotonic()
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            nonlocal alive
            super().__exit__(kind, error, traceback)
            alive = time.monotonic() - self.entered

    def finished(record: Record) -> None:
        nonlocal started
        assert record.status == "ok", record.error
        now = time.monotonic()
        seconds.append(now - started - alive)
        started = now

    with tempfile.TemporaryDirectory() as folder, patch.object(run, "WorkerProcess", Timed):
        results = ResultSet.create(Path(folder) / "set", name=STUDY.name, study=STUDY.to_dict())
        runs = Sweep(STUDY, plans_of(STUDY), results)
        started = time.monotonic()
        runs.run(lambda event: None, finished)
    return seconds[1:]
