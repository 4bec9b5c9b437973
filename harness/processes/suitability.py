"""Whether an adapter suits the version of its framework that a user named in place of the pinned one."""

from __future__ import annotations

import re

from backends.registry import Registration
from harness.worker.reports import Failure
from specs.errors import RequestError
from specs.versioned import is_version

_ARGUMENTS = re.compile(r"unexpected keyword argument|positional argument|required keyword-only argument")


def check_version(registration: Registration, said: str) -> None:
    """Raise RequestError where another version was named than the interpreter turned out to have."""
    if registration.version is not None and not is_version(registration.version, said):
        raise RequestError(f"{registration.subject} was asked for, and the interpreter has {registration.title} {said}")


def unsuited(registration: Registration, failure: Failure) -> str | None:
    """What the adapter missed in a version that a user named; None for every other failure.

    Only a name or an argument that its own code asks the framework for counts: what goes wrong within the framework is
    the framework's failure, and with the pinned version it is a mistake of the adapter's.
    """
    if registration.version is None:
        return None
    missed = failure.type in ("ImportError", "ModuleNotFoundError", "AttributeError") or (
        failure.type == "TypeError" and _ARGUMENTS.search(failure.message) is not None
    )
    folder = "/".join(registration.adapter.partition(":")[0].split(".")[:-1])
    places = re.findall(r'^  File "(.+)", line \d+', failure.traceback, re.MULTILINE)
    if not missed or not places or f"/{folder}/" not in places[-1]:
        return None
    return f"the adapter does not suit {registration.title} {registration.version}: {failure.message}"
