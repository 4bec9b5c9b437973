"""Which records are read whole for the plots that need raw samples: enough to show, few enough to stay quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from results.columns import PAIR
from results.record import Record
from results.summary import Case, Subject
from results.tables import Results

LIMIT = 300
"""Records read whole in all."""


@dataclass(frozen=True)
class Selection:
    """Whole records by set and run."""

    records: dict[tuple[str, str], Record]

    @classmethod
    def of(cls, cases: Sequence[Case], results: Results) -> Selection:
        """Of every subject the run of its case's common start, then others in order."""
        subjects = sum(len(case.subjects) for case in cases)
        each = max(1, LIMIT // max(1, subjects))
        chosen = []
        for case in cases:
            start = common_start(case)
            for subject in case.subjects:
                first = _at(subject, start)
                chosen.append(pd.concat([first, subject.ok.drop(first.index)]).head(each))
        runs = pd.concat(chosen) if chosen else results.runs.head(0)
        return cls({(name, record.run_id): record for name, record in results.records(runs)})

    def whole(self, runs: pd.DataFrame) -> list[Record]:
        """The records of these runs that were read, in order."""
        keys = runs[["set", "run_id"]].itertuples(index=False, name=None)
        return [self.records[key] for key in keys if key in self.records]

    def of_subjects(self, subjects: Iterable[Subject]) -> list[Record]:
        """The records of all these subjects that were read."""
        return [record for subject in subjects for record in self.whole(subject.ok)]

    def at_common_start(self, case: Case) -> list[tuple[Subject, Record]]:
        """One run per subject, all of the same seed, round and machine, of those subjects that have it."""
        start = common_start(case)
        return [(subject, record) for subject in case.subjects for record in self.whole(_at(subject, start))[:1]]


def common_start(case: Case) -> tuple[Any, ...]:
    """Seed, round and machine for which most subjects have a run that went well; the earliest of equals."""
    counts: dict[tuple[Any, ...], int] = {}
    for subject in case.subjects:
        for key in subject.ok[list(PAIR)].drop_duplicates().itertuples(index=False, name=None):
            counts[key] = counts.get(key, 0) + 1
    return max(sorted(counts), key=counts.__getitem__, default=())


def _at(subject: Subject, start: tuple[Any, ...]) -> pd.DataFrame:
    ok = subject.ok
    chosen = pd.Series(bool(start), index=ok.index)
    for column, value in zip(PAIR, start, strict=False):
        chosen &= ok[column] == value
    return ok[chosen]
