"""Fixtures that every room of the tests may use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.environments import find_python
from specs.errors import RequestError


@pytest.fixture(scope="session")
def backend_python() -> Callable[[str], Path]:
    """``backend_python(name)`` is the interpreter with that framework; without one the test is skipped."""

    def find(name: str) -> Path:
        try:
            return find_python(name)
        except RequestError as error:
            pytest.skip(str(error))

    return find
