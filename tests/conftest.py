"""Fixtures that every room of the tests may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.processes.environments import find_python
from specs.errors import RequestError


def pytest_configure() -> None:
    """Tests that share the machine have a processor each, and the runs that they start one thread.

    Two runs that both use all processors wait for each other at every barrier of their threads, ten times as long as
    they compute.
    """
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})


@pytest.fixture(scope="session")
def backend_python() -> Callable[[str], Path]:
    """``backend_python(name)`` is the interpreter with that framework; without one the test is skipped."""

    def find(name: str) -> Path:
        try:
            return find_python(name)
        except RequestError as error:
            pytest.skip(str(error))

    return find
