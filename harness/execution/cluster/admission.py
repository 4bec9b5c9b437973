"""Which version of each framework a set is of: what its records say, else the pins, else who comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.registry import Registration
from harness.planning.subjects import subject_of
from harness.processes.pins import pins_of
from results.record import Row
from specs.versioned import is_version


class Versions:
    """By subject. The first machine that fits fixes the build, too."""

    def __init__(self, asked: Iterable[Registration], rows: Iterable[Row]) -> None:
        registrations = list(asked)
        self.subjects = tuple(registration.subject for registration in registrations)
        self._known: dict[str, str] = {}
        self._builds: dict[str, str] = {}
        for registration in registrations:
            if (pinned := _pinned(registration)) is not None:
                self._known[registration.subject] = pinned
        for row in rows:
            subject = subject_of(row.backend, row.framework_version, registrations)
            if subject is not None and row.framework_version is not None and row.status == "ok":
                self._builds[subject.subject] = row.framework_version

    def disagreement(self, versions: Mapping[str, str]) -> str | None:
        """Why a machine with these versions may not take part; None where it may."""
        for subject in self.subjects:
            said = versions.get(subject)
            if said is None:
                return f"it does not say which {subject} it has"
            if not self._fits(subject, said):
                return f"it has {subject} {said}, and the set is of {self._builds.get(subject) or self._known[subject]}"
        for subject in self.subjects:
            self._builds.setdefault(subject, versions[subject])
        return None

    def accepts(self, subject: str, version: str | None) -> bool:
        """Whether a record of this version may stand in the set; one that came to no version says nothing."""
        return version is None or self._fits(subject, version)

    def _fits(self, subject: str, said: str) -> bool:
        if subject in self._builds:
            return said == self._builds[subject]
        return subject not in self._known or is_version(self._known[subject], said)


def _pinned(registration: Registration) -> str | None:
    """The version that the environment of a backend has that is made here; None for one without requirements."""
    if registration.version is not None:
        return registration.version
    wanted = registration.distributions[0]
    for line in pins_of(registration).requirements:
        name, _, version = line.partition("==")
        if name.strip() == wanted and version:
            return version.strip()
    return None
