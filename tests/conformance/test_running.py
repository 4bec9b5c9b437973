"""Which processor carries out which checks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from backends.contract import Session, SessionSpec
from harness.conformance import running
from harness.conformance.contract import TINY
from harness.conformance.judge import Candidate
from harness.conformance.outcome import CheckOutcome
from harness.conformance.running import Workplace, run_suite
from harness.conformance.suite import Check, Suite
from harness.processes.remote import RemoteSession
from specs.optimizers import SGD

PATIENCE_S = 60.0


class Checks:
    """A suite of checks that are given."""

    def __init__(self, *runs: Callable[[Candidate], None]) -> None:
        self._runs = runs

    def checks(self, levels: Any) -> tuple[Check, ...]:
        return tuple(self._check(f"check {number}", run) for number, run in enumerate(self._runs))

    def _check(self, name: str, run: Callable[[Candidate], None]) -> Check:
        def outcomes(candidate: Candidate) -> list[CheckOutcome]:
            run(candidate)
            return [CheckOutcome(level="layers", check=name, quantity="loss", precision="float32", status="pass")]

        return Check(level="layers", name=name, precision="float32", run=outcomes)


def reported(numpy_python: Path, *runs: Callable[[Candidate], None]) -> Any:
    told: list[int] = []
    (report,) = run_suite(
        cast(Suite, Checks(*runs)),
        {"numpy": numpy_python},
        {"numpy": ("default",)},
        levels=("layers",),
        progress=lambda title, done, count, check, found: told.append(done),
    )
    assert told == list(range(1, len(runs) + 1))
    return report


@pytest.fixture
def numpy_python(backend_python: Callable[[str], Path]) -> Path:
    return backend_python("numpy")


needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors, for one to help")


@needs_two
def test_processors_share_the_checks_of_one_backend(numpy_python: Path) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    used: list[set[int]] = []

    def together(candidate: Candidate) -> None:
        both.wait()  # until another processor has begun the other check
        used.append(os.sched_getaffinity(0))

    report = reported(numpy_python, together, lambda candidate: None, together)
    assert [len(processors) for processors in used] == [1, 1] and used[0] != used[1]
    assert [outcome.check for outcome in report.outcomes] == ["check 0", "check 1", "check 2"]


@needs_two
def test_what_breaks_a_check_ends_the_workers_of_others(numpy_python: Path) -> None:
    begun = threading.Event()
    outlasted: list[bool] = []

    def at_work(candidate: Candidate) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            candidate.open(SessionSpec(architecture=TINY, optimizer=SGD())).close()
            begun.set()
        outlasted.append(True)

    def broken(candidate: Candidate) -> None:
        begun.wait(PATIENCE_S)
        raise MemoryError("none left")

    with pytest.raises(MemoryError, match="none left"):
        reported(numpy_python, at_work, broken)
    assert begun.is_set() and not outlasted


def test_a_worker_that_has_grown_is_replaced_once_nothing_in_it_is_in_use(
    numpy_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "GROWN_MB", 1)
    spec = SessionSpec(architecture=TINY, optimizer=SGD())
    with Workplace("numpy", "default", python=numpy_python) as workplace:
        first = workplace.open(spec)
        second = workplace.open(spec)
        assert _pid(first) == _pid(second), "the first was still in use"
        first.close()
        second.close()
        assert _pid(workplace.open(spec)) != _pid(first)


def _pid(session: Session) -> int:
    return cast(RemoteSession, session)._worker.process.pid
