"""The interpreters of the backends: where each framework lives.

Each backend has a virtual environment of its own, made by the standard venv module and pip from the pinned files of its
requirements: the frameworks crash in one process and need different NumPys. A framework that the running interpreter
already has needs none, and an interpreter named by the user goes before all.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from backends.registry import Registration, find, frameworks
from harness.processes.managed import Environment
from specs.errors import RequestError
from specs.program import PROGRAM
from specs.versioned import is_version


@dataclass(frozen=True)
class Interpreter:
    """A Python that has the framework. ``origin``: "named", "running" or "managed"."""

    python: Path
    origin: str


def find_interpreter(backend: str, python: Path | None = None) -> Interpreter:
    """The interpreter a worker of this backend starts in.

    In order: ``python``; the variable HARNESS_PYTHON_<BACKEND>, which is not for NAME@VERSION; the running interpreter,
    when it has the framework; the managed environment. Raises RequestError saying what to type when there is none.
    """
    registration = find(backend)
    if named := python or named_by_user(registration):
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
    title = " ".join(filter(None, (registration.title, registration.version)))
    raise RequestError(
        f"backend {registration.subject!r}: {title} {state} here; "
        f"type: {PROGRAM} setup {registration.subject} (or name an interpreter that has it with --python)"
    )


def named_by_user(registration: Registration) -> str | None:
    """What the variable says that names the interpreter of this backend."""
    return os.environ.get(f"HARNESS_PYTHON_{registration.name.upper()}") if registration.version is None else None


def in_running_interpreter(registration: Registration) -> bool:
    """Whether the running interpreter has the framework, in the version that was named if any, without importing it.

    A folder that merely has the framework's name (a namespace package, without an origin) does not count.
    """
    spec = importlib.util.find_spec(registration.framework)
    if spec is None or spec.origin is None:
        return False
    return registration.version is None or is_version(registration.version, _distributed(registration))


def _distributed(registration: Registration) -> str | None:
    """The version of the framework's package in the running interpreter."""
    try:
        return importlib.metadata.version(registration.distributions[0])
    except importlib.metadata.PackageNotFoundError:
        return None


def find_python(backend: str, python: Path | None = None) -> Path:
    """The path alone of ``find_interpreter``."""
    return find_interpreter(backend, python).python


def distinct_python(backend: str, taken: dict[tuple[str, Path], str], python: Path | None = None) -> Path:
    """As ``find_python``, of one of several; ``taken`` has the subjects before it by framework and interpreter.

    Raises RequestError where it is the interpreter of another version of the same framework: they would be the same.
    """
    registration = find(backend)
    path = find_python(backend, python)
    other = taken.setdefault((registration.name, path), registration.subject)
    if other != registration.subject:
        raise RequestError(f"{other} and {registration.subject} are the same here ({path}): name one of them")
    return path


def installed() -> tuple[dict[str, Path], list[str]]:
    """The interpreter of every framework that is installed here, by backend, and why each of the others is not.

    Raises RequestError where there is none.
    """
    found, missing = {}, []
    for name in frameworks():
        try:
            found[name] = find_python(name)
        except RequestError as error:
            missing.append(str(error))
    if not found:
        raise RequestError(f"no framework is installed here; type: {PROGRAM} setup")
    return found, missing
