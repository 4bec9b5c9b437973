"""Work of the parent's own while a worker imports its framework."""

from __future__ import annotations

import threading
from unittest.mock import patch

import psutil
import pytest

from harness.processes.launcher import WorkerProcess
from harness.processes.remote import open_worker
from harness.worker.reports import Loaded
from tests.fakes import registered


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "harness.worker" in " ".join(child.cmdline())]


def test_the_framework_is_imported_meanwhile() -> None:
    both, load = threading.Barrier(2, timeout=60), WorkerProcess.load

    def meet(process: WorkerProcess, *, timeout_s: float | None) -> Loaded:
        both.wait()
        return load(process, timeout_s=timeout_s)

    with (
        registered(),
        patch.object(WorkerProcess, "load", meet),
        open_worker("fake", timeout_s=60, meanwhile=both.wait) as worker,
    ):
        assert worker.loaded.framework.framework_version == "1.0"


def test_what_is_interrupted_meanwhile_does_not_wait_for_the_import() -> None:
    def interrupted() -> None:
        assert len(workers()) == 1
        raise KeyboardInterrupt

    with (
        registered(load="hang"),
        pytest.raises(KeyboardInterrupt),
        open_worker("fake", timeout_s=60, meanwhile=interrupted),
    ):
        pass
    assert workers() == []
