"""Mistakes planted in the real adapters, as patches of their source: the kinds that a refactoring makes."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from itertools import zip_longest

from backends.registry import frameworks
from tests.conformance.mistakes.patch import Mistake


def _of(backend: str) -> tuple[Mistake, ...]:
    """``IN_NAME`` of the module ``in_name``; none of a backend that has no such module."""
    module = f"{__name__}.in_{backend}"
    if find_spec(module) is None:
        return ()
    found: tuple[Mistake, ...] = getattr(import_module(module), f"IN_{backend.upper()}")
    return found


OF_BACKEND = {backend: found for backend in frameworks() if (found := _of(backend))}
"""Those of each backend that has some."""

MISTAKES: tuple[Mistake, ...] = tuple(
    mistake for row in zip_longest(*OF_BACKEND.values()) for mistake in row if mistake is not None
)
"""All of them, one of each framework by turns."""
