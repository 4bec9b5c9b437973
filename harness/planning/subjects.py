"""Which of the backends that were asked for something is of: two versions of one framework are two of them."""

from __future__ import annotations

from collections.abc import Iterable

from backends.registry import Registration
from specs.versioned import is_version


def subject_of(backend: str, version: str | None, asked: Iterable[Registration]) -> Registration | None:
    """The one in this very version, else the one that names none; ``version`` is what the framework said of itself."""
    own = [registration for registration in asked if registration.name == backend]
    exact = (one for one in own if one.version is not None and is_version(one.version, version))
    return next(exact, next((one for one in own if one.version is None), None))
