"""Managed environments: a virtual environment for each backend and version, made by venv and pip, one at a time.

What stands in its folder is what its requirements and constraints say: their digest is in its name. Whatever a set-up
starts ends with it, and whoever finds the lock free finds nobody writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.registry import Registration
from harness.processes.commands import CommandFailed, Commands, CommandStopped
from harness.processes.downloads import Package, resolved
from harness.processes.pins import VARIANTS, has_variant, pins_of
from harness.processes.pip_failures import reason
from harness.processes.places import root, variant_of
from specs.errors import RequestError
from specs.program import PROGRAM

STAMP = "harness-ready.json"


class SetupInterrupted(RequestError):
    """The set-up was told to stop."""


class Environment:
    """That of a backend in a version: <root>/<name>-<digest of its pins and of this Python's version>."""

    def __init__(self, registration: Registration, variant: str | None = None) -> None:
        """``variant``: one of VARIANTS; None for the one that is used here."""
        self.registration = registration
        wanted = variant or variant_of(registration.name)
        self.variant = wanted if has_variant(registration, wanted) else VARIANTS[0]
        version = ".".join(map(str, sys.version_info[:3]))
        self._pins = pins_of(registration, self.variant)
        pins = [*self._pins.requirements, *self._pins.constraints]
        digest = hashlib.sha256(json.dumps([version, pins]).encode()).hexdigest()[:10]
        self.directory = root() / f"{registration.name}-{digest}"
        self.python = self.directory / "bin" / "python"
        self._commands = Commands(root() / f"{registration.name}-{digest}.log")
        self._lock = root() / f"{registration.name}.lock"

    @property
    def log(self) -> Path:
        """Where what the set-up printed is kept."""
        return self._commands.log

    def ready(self) -> bool:
        """Whether it was made to the end: the stamp is written last."""
        return (self.directory / STAMP).is_file() and self.python.exists()

    def installed(self) -> list[str]:
        """Every package with its version as the set-up left them, NAME==VERSION each: what makes it again."""
        packages: list[str] = json.loads((self.directory / STAMP).read_text())["packages"]
        return packages

    def imports(self) -> bool:
        """Whether the framework can be imported; this takes as long as the import."""
        command = [str(self.python), "-I", "-c", f"import {self.registration.framework}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def ensure(self, progress: Callable[[str], None], *, verify: bool = False) -> bool:
        """Make or repair it unless it is ready; True when something had to be done.

        ``verify``: one that is ready counts only if its framework can be imported. Two set-ups at once wait for each
        other. Raises RequestError saying why it failed and where the whole output is, SetupInterrupted after ``stop``.
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

    def resolved(self) -> list[Package]:
        """What pip would install, without doing so. Raises as ``ensure`` does."""

        def run(command: list[str], log: Path) -> None:
            try:
                self._commands.run(command)
            except (CommandStopped, CommandFailed) as error:
                raise self._failure(error, log) from None

        return resolved(self._pins, run)

    def stop(self) -> None:
        """End what ``ensure`` or ``resolved`` is doing in another thread; the next one makes it anew."""
        self._commands.stop()

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
                    if self._commands.stopped:
                        raise self._interrupted() from None
                    if not said:
                        progress("waiting for another set-up of this environment")
                    said = True
                    time.sleep(0.1)
            yield file.fileno()

    def _make(self, progress: Callable[[str], None], lock: int) -> None:
        pip_log = self.directory / "pip.log"
        pip = [str(self.python), "-I", "-m", "pip"]
        imported = self.registration.framework

        def run(*command: str, say: Callable[[str], None] | None = None) -> list[str]:
            return self._commands.run(list(command), say, held=(lock,))

        try:
            progress("creating the virtual environment")
            run(sys.executable, "-I", "-m", "venv", str(self.directory), say=progress)
            quiet = ["--progress-bar", "off", "--log", str(pip_log)]
            run(*pip, "install", *quiet, *self._pins.options(self.directory), say=progress)
            progress(f"importing {imported}")
            run(str(self.python), "-I", "-c", f"import {imported}")
            packages = [line.strip() for line in run(*pip, "freeze") if "==" in line or " @ " in line]
        except (CommandStopped, CommandFailed) as error:
            raise self._failure(error, pip_log) from None
        stamp = self.directory / STAMP
        partial = stamp.with_suffix(".partial")
        made = {"subject": self.registration.subject, "variant": self.variant, "packages": packages}
        partial.write_text(json.dumps(made, indent=1))
        partial.replace(stamp)

    def _failure(self, error: CommandStopped | CommandFailed, pip_log: Path) -> RequestError:
        """What a command's end is to whoever asked for the environment."""
        if isinstance(error, CommandStopped):
            return self._interrupted()
        why = reason(error.said, pip_log.read_text(errors="replace") if pip_log.is_file() else "")
        return RequestError(
            f"setting up {self.registration.subject} failed (exit {error.status}): {why}; "
            f"the whole output is in {self.log}; the next set-up makes it anew"
        )

    def _interrupted(self) -> SetupInterrupted:
        return SetupInterrupted(f"interrupted; {PROGRAM} setup {self.registration.subject} makes it anew")
