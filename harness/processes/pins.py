"""What an environment is made of: the pins of a backend, with another version of its framework where one is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from backends.registry import Registration

VARIANTS = ("cpu", "cuda")
"""For what machine: NAME.txt is for CPUs, NAME.cuda.txt for NVIDIA's GPUs, where there is such a file."""


@dataclass(frozen=True)
class Pins:
    """The lines of a requirements and of a constraints file that say something."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]

    def options(self, folder: Path) -> list[str]:
        """What pip install takes for them, once they are written into ``folder``."""
        words = []
        for option, lines in (("requirement", self.requirements), ("constraint", self.constraints)):
            file = folder / f"{option}s.txt"
            file.write_text("".join(f"{line}\n" for line in lines))
            words += [f"--{option}", str(file)]
        return words


def has_variant(registration: Registration, variant: str) -> bool:
    """Whether the backend has packages of its own for this variant: one without has the same for all."""
    return variant == VARIANTS[0] or _of_variant(registration.requirements, variant).is_file()


def pins_of(registration: Registration, variant: str = VARIANTS[0]) -> Pins:
    """Those of the backend's files. A version that is named replaces the framework's own pins and leaves the others.

    What else must move with some versions, a NumPy say, stands in NAME@VERSION.txt beside the requirements:
    paddle@2.txt is for every 2.x.y, a longer version goes before. What another version needs of CUDA it says itself:
    there the constraints are those for CPUs.
    """
    files = registration.requirements, registration.constraints
    own_files = [_of_variant(file, variant) if has_variant(registration, variant) else file for file in files]
    pinned = Pins(lines_of(own_files[0]), lines_of(own_files[1]))
    if registration.version is None:
        return pinned
    moved = {_package(line): line for line in lines_of(_variant(registration))}
    own = {_package(name) for name in registration.distributions}
    requirements = tuple(
        _at_version(line, registration.version) if _package(line) in own else moved.get(_package(line), line)
        for line in pinned.requirements
    )
    if requirements == pinned.requirements:
        return pinned
    free = {_package(line): line for line in lines_of(files[1]) if _package(line) not in own}
    return Pins(requirements, tuple((free | moved).values()))


def lines_of(file: Path) -> tuple[str, ...]:
    """The lines that say something; none where there is no such file."""
    if not file.is_file():
        return ()
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in file.read_text().splitlines())
    return tuple(line for line in lines if line)


def _of_variant(file: Path, variant: str) -> Path:
    """The file of a variant beside the one for CPUs."""
    name, _, rest = file.name.partition(".")
    return file if variant == VARIANTS[0] else file.with_name(f"{name}.{variant}.{rest}")


def _at_version(line: str, version: str) -> str:
    """A pin at another version, wherever the line names it: ``torch==2.13.0,!=2.13.0+cpu`` names it twice."""
    name, _, rest = line.partition("==")
    pinned = re.match(r"[\w.]*", rest)
    return line.replace(pinned[0], version) if pinned and pinned[0] else f"{name}=={version}"


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
