"""Managed environments: a virtual environment for each backend and version, made by venv and pip, one at a time.

What stands in its folder is what its requirements and constraints say: their digest is in its name. Whatever a set-up
starts ends with it, and whoever finds the lock free finds nobody writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.registry import Registration
from harness.processes.pins import pins_of
from harness.processes.pip_failures import reason
from specs.errors import RequestError
from specs.program import CODE, PROGRAM

STAMP = "harness-ready.json"


class Interrupted(RequestError):
    """The set-up was told to stop."""


def root() -> Path:
    """Where managed environments live: HARNESS_ENVS, else the user's cache."""
    if configured := os.environ.get("HARNESS_ENVS"):
        return Path(configured).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "envs"


class Environment:
    """That of a backend in a version: <root>/<name>-<digest of its pins and of this Python's version>."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        version = ".".join(map(str, sys.version_info[:3]))
        self._pins = pins_of(registration)
        pins = [*self._pins.requirements, *self._pins.constraints]
        digest = hashlib.sha256(json.dumps([version, pins]).encode()).hexdigest()[:10]
        self.directory = root() / f"{registration.name}-{digest}"
        self.python = self.directory / "bin" / "python"
        self.log = root() / f"{registration.name}-{digest}.log"
        self._pip_log = self.directory / "pip.log"
        self._lock = root() / f"{registration.name}.lock"
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def ready(self) -> bool:
        """Whether it was made to the end: the stamp is written last."""
        return (self.directory / STAMP).is_file() and self.python.exists()

    def imports(self) -> bool:
        """Whether the framework can be imported; this takes as long as the import."""
        command = [str(self.python), "-I", "-c", f"import {self.registration.framework}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def ensure(self, progress: Callable[[str], None], *, verify: bool = False) -> bool:
        """Make or repair it unless it is ready; True when something had to be done.

        ``verify``: one that is ready counts only if its framework can be imported. Two set-ups at once wait for each
        other. Raises RequestError saying why it failed and where the whole output is, Interrupted after ``stop``.
        """
        if self.ready() and (not verify or self.imports()):
            return False
        try:
            root().mkdir(parents=True, exist_ok=True)
            with self._locked(progress) as lock:
                if self.ready() and (not verify or self.imports()):
                    return False
                if self.directory.exists():
                    progress("removing a broken environment" if self.ready() else "removing a half-made environment")
                    shutil.rmtree(self.directory)
                self._make(progress, lock)
        except OSError as error:
            raise RequestError(f"{error.filename or root()}: {error.strerror or error}") from None
        return True

    def stop(self) -> None:
        """End what ``ensure`` is doing in another thread; the next one makes it anew."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    @contextlib.contextmanager
    def _locked(self, progress: Callable[[str], None]) -> Iterator[int]:
        """The lock as an open file: it holds for all that have it open, so for the processes that are given it too."""
        with self._lock.open("a") as file:
            said = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self._stopped:
                        raise self._interrupted() from None
                    if not said:
                        progress("waiting for another set-up of this environment")
                    said = True
                    time.sleep(0.1)
            yield file.fileno()

    def _make(self, progress: Callable[[str], None], lock: int) -> None:
        progress("creating the virtual environment")
        self._run([sys.executable, "-I", "-m", "venv", str(self.directory)], progress, lock)
        command = [str(self.python), "-I", "-m", "pip", "install", "--progress-bar", "off", "--log", str(self._pip_log)]
        for option, lines in (("requirement", self._pins.requirements), ("constraint", self._pins.constraints)):
            file = self.directory / f"{option}s.txt"
            file.write_text("".join(f"{line}\n" for line in lines))
            command += [f"--{option}", str(file)]
        self._run(command, progress, lock)
        progress(f"importing {self.registration.framework}")
        self._run([str(self.python), "-I", "-c", f"import {self.registration.framework}"], None, lock)
        said = self._run([str(self.python), "-I", "-m", "pip", "freeze"], None, lock)
        packages = [line.strip() for line in said if "==" in line or " @ " in line]
        stamp = self.directory / STAMP
        partial = stamp.with_suffix(".partial")
        partial.write_text(json.dumps({"subject": self.registration.subject, "packages": packages}, indent=1))
        partial.replace(stamp)

    def _run(self, command: list[str], progress: Callable[[str], None] | None, lock: int) -> list[str]:
        """Run it tied to this process and to the lock; the lines that it prints."""
        lines: list[str] = []
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                [sys.executable, "-m", "harness.processes.tied", str(os.getpid()), *command],
                env={**os.environ, "PYTHONPATH": str(CODE), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                text=True,
                errors="replace",
            ) as process,
        ):
            self._process = process
            if self._stopped:  # since before there was a process to end
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                lines.append(line)
                if progress is not None and line.strip():
                    progress(line.strip())
        if self._stopped:
            raise self._interrupted()
        if process.returncode != 0:
            pip_log = self._pip_log.read_text(errors="replace") if self._pip_log.is_file() else ""
            raise RequestError(
                f"setting up {self.registration.subject} failed (exit {process.returncode}): "
                f"{reason(''.join(lines), pip_log)}; the whole output is in {self.log}; the next set-up makes it anew"
            )
        return lines

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"interrupted; {PROGRAM} setup {self.registration.subject} makes it anew")
