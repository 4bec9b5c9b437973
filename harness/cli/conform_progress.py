"""The progress of ``conform`` on stderr: a bar per backend, a line for every check that fails."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.conformance.outcome import CheckOutcome
from harness.conformance.suite import Check
from harness.conformance.table import line


class ConformProgress:
    """Called after every check of every backend, from several threads. A context manager."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.fields[backend]:>10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}
        self._quiet = quiet

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, backend: str, done: int, checks: int, check: Check, outcomes: Sequence[CheckOutcome]) -> None:
        if backend not in self._tasks:
            self._tasks[backend] = self._progress.add_task("", total=checks, backend=backend)
        description = f"{check.level}: {check.name}" if done < checks else "done"
        self._progress.update(self._tasks[backend], completed=done, description=description)
        for outcome in outcomes:
            if outcome.status == "fail" and not self._quiet:
                self._console.print(f"{backend}: {line(outcome)}", markup=False, highlight=False)
