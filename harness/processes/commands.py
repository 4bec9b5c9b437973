"""Commands of a set-up: each ends with the process that started it, or when told to, and is kept word for word."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from specs.program import CODE


class CommandStopped(Exception):
    """The command was told to stop."""


@dataclass
class CommandFailed(Exception):
    """It ended with an exit status that is not 0, having said this."""

    status: int
    said: str


class Commands:
    """One after another; what they print goes to the file ``log``. ``stop`` may come from another thread."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.stopped = False
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, command: list[str], progress: Callable[[str], None] | None = None, *, held: tuple[int, ...] = ()
    ) -> list[str]:
        """Run it, tied to this process and to the open files ``held``; the lines that it prints, said as they come.

        Raises CommandFailed, or CommandStopped after ``stop``.
        """
        lines: list[str] = []
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                [sys.executable, "-m", "harness.processes.tied", str(os.getpid()), *command],
                env={**os.environ, "PYTHONPATH": str(CODE), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=held,
                text=True,
                errors="replace",
            ) as process,
        ):
            self._process = process
            if self.stopped:  # since before there was a process to end
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                lines.append(line)
                if progress is not None and line.strip():
                    progress(line.strip())
        if self.stopped:
            raise CommandStopped
        if process.returncode != 0:
            raise CommandFailed(process.returncode, "".join(lines))
        return lines

    def stop(self) -> None:
        """End what runs, and whatever would follow."""
        self.stopped = True
        if self._process is not None:
            self._process.terminate()
