"""The ladder of a framework: the same training as it comes, as its guides advise, and as fast as can be made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from backends.registry import Manner
from results.columns import rung
from results.statistics import Ratio
from results.summary import Case, Subject, speed_ratio

RATE = "train_samples_per_second"


@dataclass(frozen=True, eq=False)
class Ladder:
    """One version of a backend in a case that ran in several manners, from the lowest to the highest."""

    case: Case
    backend: str
    version: str
    rungs: tuple[Subject, ...]

    def subject(self, manner: Manner) -> Subject | None:
        """Its runs in a manner."""
        return next((subject for subject in self.rungs if subject.key.tuning == manner), None)

    def steps(self) -> Iterator[tuple[Subject, Subject, Ratio]]:
        """Each rung with the one below it: lower, higher, and how many times as fast the higher is."""
        for lower, higher in pairwise(self.rungs):
            yield lower, higher, speed_ratio(higher, lower, RATE)


def ladders(case: Case) -> Iterator[Ladder]:
    """The ladders of a case: of every version of a backend that ran well in two manners or more."""
    owners = dict.fromkeys((subject.backend, subject.key.version) for subject in case.subjects)
    for backend, version in owners:
        own = [
            s for s in case.subjects if (s.backend, s.key.version) == (backend, version) and s.ok[RATE].notna().any()
        ]
        if len(own) > 1:
            yield Ladder(case, backend, version, tuple(sorted(own, key=lambda subject: rung(subject.key.tuning))))
