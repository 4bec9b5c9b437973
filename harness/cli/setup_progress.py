"""The progress of ``setup`` on stderr: on a terminal a line per backend that changes in place, else its milestones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from harness.cli.progress import console, shown

# The lines of pip and of ours that are worth keeping where none can be rewritten.
_MILESTONES = ("resolving", "creating", "removing", "waiting", "importing", "Collecting", "Installing collected")


class SetupProgress:
    """Told of several backends from several threads. A context manager."""

    def __init__(self) -> None:
        self._live = Progress(
            SpinnerColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def of(self, backend: str) -> Callable[[str], None]:
        """What takes the lines of this backend's set-up, its own and pip's."""
        self._tasks[backend] = self._live.add_task(backend)
        return partial(self._said, backend)

    def finished(self, backend: str, outcome: str) -> None:
        """How it ended, on a line that stays."""
        if backend in self._tasks:
            self._live.remove_task(self._tasks.pop(backend))
        self.say(f"{backend}: {outcome}")

    def say(self, line: str) -> None:
        """A line that stays."""
        self._live.console.print(shown(line))

    def _said(self, backend: str, line: str) -> None:
        self._live.update(self._tasks[backend], description=shown(f"{backend}: {line}"))
        if not console.is_terminal and line.startswith(_MILESTONES):
            console.print(shown(f"{backend}: {line[:160]}"))
