"""What an environment is made of: the pins of a backend, with another version of its framework where one is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.registry import Registration


@dataclass(frozen=True)
class Pins:
    """The lines of a requirements and of a constraints file that say something."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]


def pins_of(registration: Registration) -> Pins:
    """Those of the backend's files. A version that is named replaces the framework's own pins and leaves the others.

    What else must move with some versions, a NumPy say, stands in NAME@VERSION.txt beside the requirements:
    paddle@2.txt is for every 2.x.y, a longer version goes before.
    """
    pinned = Pins(lines_of(registration.requirements), lines_of(registration.constraints))
    if registration.version is None:
        return pinned
    moved = {_package(line): line for line in lines_of(_variant(registration))}
    own = {_package(name) for name in registration.distributions}
    requirements = tuple(
        line.partition("==")[0] + f"=={registration.version}"
        if _package(line) in own
        else moved.get(_package(line), line)
        for line in pinned.requirements
    )
    if requirements == pinned.requirements:
        return pinned
    free = {_package(line): line for line in pinned.constraints if _package(line) not in own}
    return Pins(requirements, tuple((free | moved).values()))


def lines_of(file: Path) -> tuple[str, ...]:
    """The lines that say something; none where there is no such file."""
    if not file.is_file():
        return ()
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in file.read_text().splitlines())
    return tuple(line for line in lines if line)


def _variant(registration: Registration) -> Path:
    """The file for this version or for the longest beginning of it that has one; else of none there is."""
    numbers = (registration.version or "").split(".")
    places = [
        registration.requirements.with_name(f"{registration.name}@{'.'.join(numbers[:count])}.txt")
        for count in range(len(numbers), 0, -1)
    ]
    return next((place for place in places if place.is_file()), places[0])


def _package(line: str) -> str:
    """The canonical name of what a line pins, or the line where it is an option of pip."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else line
