"""The interpreters of the backends: where each framework lives, and how its environment is made.

Each backend has a virtual environment of its own, made by the standard venv module and pip from the pinned file beside
its adapter: the frameworks crash in one process and need different NumPys. A framework that the running interpreter
already has needs none, and an interpreter named by the user goes before all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backends.registry import Registration, find
from specs.errors import RequestError
from specs.program import PROGRAM

STAMP = "harness-ready.json"


@dataclass(frozen=True)
class Interpreter:
    """A Python that has the framework. ``origin``: "named", "running" or "managed"."""

    python: Path
    origin: str


def root() -> Path:
    """Where managed environments live: HARNESS_ENVS, else the user's cache."""
    if configured := os.environ.get("HARNESS_ENVS"):
        return Path(configured).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "envs"


def find_interpreter(backend: str, python: Path | None = None) -> Interpreter:
    """The interpreter a worker of this backend starts in.

    In order: ``python``; the variable HARNESS_PYTHON_<BACKEND>; the running interpreter, when it has the framework;
    the managed environment. Raises RequestError saying what to type when there is none.
    """
    registration = find(backend)
    named = python or os.environ.get(f"HARNESS_PYTHON_{registration.name.upper()}")
    if named:
        path = Path(named).expanduser()
        resolved = shutil.which(str(path))
        if resolved is None:
            raise RequestError(f"{path}: not an executable Python interpreter")
        return Interpreter(Path(resolved).absolute(), "named")
    if in_running_interpreter(registration):
        return Interpreter(Path(sys.executable), "running")
    environment = Environment(registration)
    if environment.ready():
        return Interpreter(environment.python, "managed")
    state = "is broken" if environment.directory.exists() else "is not installed"
    raise RequestError(
        f"backend {registration.name!r}: {registration.title} {state} here; "
        f"type: {PROGRAM} setup {registration.name} (or name an interpreter that has it with --python)"
    )


def in_running_interpreter(registration: Registration) -> bool:
    """Whether the running interpreter has the framework, without importing it.

    A folder that merely has the framework's name (a namespace package, without an origin) does not count.
    """
    spec = importlib.util.find_spec(registration.framework)
    return spec is not None and spec.origin is not None


def find_python(backend: str, python: Path | None = None) -> Path:
    """The path alone of ``find_interpreter``."""
    return find_interpreter(backend, python).python


class Environment:
    """The managed environment of one backend: <root>/<name>-<digest of its pins and this Python's version>."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        version = ".".join(map(str, sys.version_info[:3]))
        pins = [line for line in self._requirement_lines() if line]
        digest = hashlib.sha256(json.dumps([version, pins]).encode()).hexdigest()[:10]
        self.directory = root() / f"{registration.name}-{digest}"
        self.python = self.directory / "bin" / "python"
        self.log = root() / f"{registration.name}-{digest}.log"
        self._lock = root() / f"{registration.name}.lock"

    def _requirement_lines(self) -> list[str]:
        text = self.registration.requirements.read_text()
        return [line.partition("#")[0].strip() for line in text.splitlines()]

    def ready(self) -> bool:
        """Whether it was made to the end: the stamp is written last."""
        return (self.directory / STAMP).is_file() and self.python.exists()

    def imports(self) -> bool:
        """Whether the framework can be imported; this takes as long as the import."""
        command = [str(self.python), "-c", f"import {self.registration.framework}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def ensure(self, progress: Callable[[str], None], *, verify: bool = False) -> bool:
        """Make or repair it unless it is ready; True when something had to be done.

        ``verify``: one that is ready counts only if its framework can be imported. Two set-ups at once wait for each
        other. Raises RequestError naming pip's log when it fails.
        """
        import filelock

        root().mkdir(parents=True, exist_ok=True)
        if self.ready() and (not verify or self.imports()):
            return False
        lock = filelock.FileLock(self._lock)
        try:
            held = lock.acquire(timeout=0)
        except filelock.Timeout:
            progress("waiting for another set-up of this environment")
            held = lock.acquire()
        with held:
            if self.ready() and (not verify or self.imports()):
                return False
            if self.directory.exists():
                progress("removing a broken environment" if self.ready() else "removing a half-made environment")
                shutil.rmtree(self.directory)
            self._make(progress)
        return True

    def _make(self, progress: Callable[[str], None]) -> None:
        progress("creating the virtual environment")
        venv.create(self.directory, with_pip=True, symlinks=True)
        command = [str(self.python), "-m", "pip", "install", "--progress-bar", "off", "-r"]
        self._run([*command, str(self.registration.requirements)], progress)
        progress(f"importing {self.registration.framework}")
        self._run([str(self.python), "-c", f"import {self.registration.framework}"], None)
        packages = subprocess.run(
            [str(self.python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        stamp = self.directory / STAMP
        partial = stamp.with_suffix(".partial")
        partial.write_text(json.dumps({"packages": packages}, indent=1))
        partial.replace(stamp)

    def _run(self, command: list[str], progress: Callable[[str], None] | None) -> None:
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process,
        ):
            assert process.stdout is not None
            last = ""
            for line in process.stdout:
                log.write(line)
                last = line.strip() or last
                if progress is not None and last:
                    progress(last)
        if process.returncode != 0:
            raise RequestError(
                f"setting up {self.registration.name} failed (exit {process.returncode}): {last[:200]}; "
                f"the whole output is in {self.log}; run it again to repair"
            )
