"""Short names for what is compared: only what the runs at hand differ in is said."""

from __future__ import annotations

import pandas as pd

from results.columns import CASE, SUBJECT, CaseKey, SubjectKey, by_preference
from results.formatting import plain
from results.palette import Look, look
from results.words import Words


class Labels:
    """Names of the cases and subjects of a run table, in a language."""

    def __init__(self, runs: pd.DataFrame, words: Words) -> None:
        self._words = words
        self._cases: dict[CaseKey, str] = {}  # a table of all runs asks for the same few again and again
        self._subjects: dict[SubjectKey, str] = {}
        self._varying = {key for key in (*CASE, *SUBJECT) if runs[key].nunique(dropna=False) > 1}
        self._versions = set(runs.groupby("backend")["version"].nunique().loc[lambda n: n > 1].index)
        self._own_recipe = bool((runs["recipe"] == runs["model"]).all())
        subjects = [SubjectKey(*key) for key in runs[list(SUBJECT)].drop_duplicates().itertuples(index=False)]
        self._variants: dict[str, list[SubjectKey]] = {}
        for subject in sorted(subjects, key=lambda key: (by_preference(key.tuning), key.version)):
            self._variants.setdefault(subject.backend, []).append(subject)

    def case(self, key: CaseKey) -> str:
        """E.g. "lenet5 on mnist" or "lenet5 on mnist (cuda, 4 threads)". An empty ``set`` is not said."""
        if key not in self._cases:
            self._cases[key] = self._case(key)
        return self._cases[key]

    def _case(self, key: CaseKey) -> str:
        extras = [
            key.recipe if "recipe" in self._varying and not self._own_recipe else None,
            key.device if "device" in self._varying else None,
            key.precision if "precision" in self._varying else None,
            self._words("threads_count", count=key.threads) if "threads" in self._varying else None,
            key.set if "set" in self._varying and key.set else None,
        ]
        name = self._words("case", model=plain(key.model), dataset=plain(key.dataset))
        return name + _bracketed(extras)

    def subject(self, key: SubjectKey) -> str:
        """E.g. "torch", or "torch (2.12.0, expert)"."""
        if key not in self._subjects:
            self._subjects[key] = self._subject(key)
        return self._subjects[key]

    def _subject(self, key: SubjectKey) -> str:
        extras = [
            key.version or self._words("version_unknown") if key.backend in self._versions else None,
            self._words(f"tuning_{key.tuning}") if "tuning" in self._varying else None,
        ]
        return plain(key.backend) + _bracketed(extras)

    def look(self, key: SubjectKey) -> Look:
        """The look of a subject: the backend's colour, dashes and hatches tell its variants apart."""
        return look(key.backend, self._variants[key.backend].index(key))


def _bracketed(extras: list[str | None]) -> str:
    said = [plain(extra) for extra in extras if extra is not None]
    return f" ({', '.join(said)})" if said else ""
