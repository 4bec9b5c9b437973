"""A name with a version, as users write it: ``keras`` or ``keras@3.12.0``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from specs.errors import RequestError

_VERSION = re.compile(r"(\d+(?:\.\d+)*)((?:a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Versioned:
    """``version`` is None where none is named. One that is has three numbers at the least: 3.12 is 3.12.0."""

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Versioned:
        """NAME or NAME@VERSION. Raises RequestError for what is no single version."""
        name, at, version = (part.strip() for part in text.partition("@"))
        if not at:
            return cls(name)
        found = _VERSION.fullmatch(version)
        if not name or found is None:
            raise RequestError(f"{text!r}: a version is written whole, as in {name or 'keras'}@1.2.3")
        numbers = found[1] + ".0" * max(0, 2 - found[1].count("."))
        return cls(name, numbers + version[len(found[1]) :].lower())

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


def is_version(wanted: str, said: str | None) -> bool:
    """Whether a framework that says of itself that it is ``said`` is the version that is wanted.

    The mark of a build (+cpu) counts only where it is wanted.
    """
    return said is not None and wanted in (said, said.partition("+")[0])


def version_order(version: str) -> tuple[tuple[int, ...], str]:
    """A key by which 2.8.0 comes before 2.10.0."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    found = numbers[0] if numbers else ""
    return tuple(map(int, found.split("."))) if found else (), version[len(found) :]
