"""What a finding is, the analysis that the rules look at, and the words they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from results.columns import SUBJECT, CaseKey, SubjectKey, rung
from results.formatting import cell, figure, plain
from results.labels import Labels
from results.manifest import BackendConformance
from results.palette import in_order
from results.race import Race
from results.selection import Selection
from results.summary import Case, Subject, cases
from results.tables import Results
from results.words import Words
from specs.versioned import version_order

Level = Literal["sameness", "change", "agreement", "race", "speed", "accuracy", "memory", "problem", "warning", "note"]

NAMED = 4
"""Of more things than this a sentence names only the first."""


@dataclass(frozen=True)
class Finding:
    """One thing to know. ``key`` names its sentence in ``results.words``; ``values`` fill it in.

    ``case`` and ``subject`` are those it is about, where it is about one.
    """

    key: str
    level: Level
    values: dict[str, Any]
    case: CaseKey | None = None
    subject: SubjectKey | None = None

    def sentence(self, words: Words) -> str:
        """The finding in the language of ``words``."""
        return words(f"finding_{self.key}", **self.values)


@dataclass(frozen=True)
class Analysis:
    """The runs as findings and plots look at them."""

    results: Results
    baseline: str | None
    words: Words

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Those that verdicts are given on: of each kind of machine, by ratios."""
        return tuple(cases(self.results.runs, by="machine_kind"))

    @cached_property
    def measured(self) -> tuple[Case, ...]:
        """Those whose figures stand in their units: of each machine by itself."""
        several = any(machine.name != machine.kind for machine in self.results.machines)
        return tuple(cases(self.results.runs)) if several else self.cases

    def machines_of(self, key: CaseKey) -> tuple[Case, ...]:
        """The measured cases that a case on a kind of machine is made of."""
        kinds = {machine.name: machine.kind for machine in self.results.machines}
        return tuple(case for case in self.measured if case.key._replace(machine=kinds[case.key.machine]) == key)

    @cached_property
    def summary(self) -> pd.DataFrame:
        return self.results.summary(self.baseline)

    @cached_property
    def selection(self) -> Selection:
        """The records that were read whole, for the figures that need raw samples."""
        return Selection.of(self.cases, self.results)

    @cached_property
    def races(self) -> dict[CaseKey, Race]:
        """The race of each case, all that were run of it on one kind of machine in one.

        Who failed conformance, or the proof of the case, is out of it.
        """
        trained = {
            (name, row.fingerprints.training): training
            for (name, row), training in zip(self.results.rows, self.results.runs["training"], strict=True)
        }
        found = {
            CaseKey(trained[name, race.training], race.device, race.precision, race.threads, name, kind): race
            for name, kind, race in self.results.races
            if (name, race.training) in trained
        }
        disproved = {case.key: {one.key for one in case.subjects if one.disproved} for case in self.cases}
        why = self.words.reason("disproved")
        return {
            key: race.without({*disproved.get(key, ()), *filter(self.nonconforming, (r.key for r in race.racers))}, why)
            for key, race in found.items()
        }

    @cached_property
    def labels(self) -> Labels:
        return Labels(self.results.runs, self.words)

    @cached_property
    def standings(self) -> list[tuple[str, BackendConformance]]:
        """What the sets say of backends and their conformance, the first set first."""
        return [
            (status.backend or name, status) for one in self.results.sets for name, status in one.conformance().items()
        ]

    def conformance(self, key: SubjectKey) -> BackendConformance | None:
        """What the first set that knows says of a backend in this version and manner."""
        fitting = (
            status
            for backend, status in self.standings
            if backend == key.backend
            and status.tuning in (None, key.tuning)
            and (not key.version or status.framework_version == key.version)
        )
        return next(fitting, None)

    def nonconforming(self, key: SubjectKey) -> bool:
        """Whether a backend in this version and manner failed conformance."""
        status = self.conformance(key)
        return status is not None and bool(status.failures)

    @cached_property
    def subjects(self) -> list[SubjectKey]:
        """All that ran, in the order of the backends and manners."""
        keys = [SubjectKey(*key) for key in self.results.runs[list(SUBJECT)].drop_duplicates().itertuples(index=False)]
        order = in_order([key.backend for key in keys])
        return sorted(keys, key=lambda key: (order.index(key.backend), version_order(key.version), rung(key.tuning)))

    def named(self, keys: Sequence[SubjectKey]) -> str:
        """Names of subjects joined; of a backend in several manners once, with the manners."""
        manners: dict[tuple[str, str], list[SubjectKey]] = {}
        for key in keys:
            manners.setdefault((key.backend, key.version), []).append(key)
        return self.words.join([self.labels.together(own) for own in manners.values()])

    def say(
        self, key: str, level: Level, case: Case | None = None, subject: Subject | None = None, **values: Any
    ) -> Finding:
        """A finding about a case, a subject or neither."""
        if case is not None:
            values["case"] = self.labels.case(case.key)
        if subject is not None:
            values["backend"] = self.labels.subject(subject.key)
        return Finding(key, level, values, case.key if case else None, subject.key if subject else None)

    def names(self, subjects: list[Subject]) -> str:
        """Their names joined."""
        return self.named([subject.key for subject in subjects])


def medians(subject: Subject, column: str) -> list[float]:
    """The median of a figure over its good runs on each machine that has it."""
    return subject.ok.groupby("machine", sort=False)[column].median().dropna().tolist()


def speed(subject: Subject) -> float | None:
    """The median training throughput of its good runs, in samples a second; of several machines, on the fastest."""
    return max(medians(subject, "train_samples_per_second"), default=None)


def extent(column: str, values: Sequence[float]) -> str:
    """The least and the greatest of some figures, or the one that all show."""
    if cell(column, min(values)) == cell(column, max(values)):
        return figure(column, values[0])
    return f"{cell(column, min(values))}–{figure(column, max(values))}"


def some(analysis: Analysis, names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = [plain(name) for name in names[:NAMED]]
    if len(names) <= NAMED:
        return analysis.words.join(shown)
    return analysis.words("and_more", names=analysis.words("comma").join(shown), count=len(names) - NAMED)
