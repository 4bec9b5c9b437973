"""Short names for what is compared: only what the runs at hand differ in is said."""

from __future__ import annotations

from typing import Any

import pandas as pd

from results.columns import CASE, SUBJECT
from results.formatting import plain
from results.palette import Look, look
from results.words import Words


class Labels:
    """Names of cases and subjects (the key tuples of ``results.columns``) for a run table, in a language."""

    def __init__(self, runs: pd.DataFrame, words: Words) -> None:
        self._words = words
        self._cases: dict[tuple[Any, ...], str] = {}  # a table of all runs asks for the same few again and again
        self._subjects: dict[tuple[Any, ...], str] = {}
        self._varying = {key for key in (*CASE, *SUBJECT) if runs[key].nunique(dropna=False) > 1}
        self._versions = set(
            runs.groupby("backend")["framework_version"].nunique(dropna=False).loc[lambda n: n > 1].index
        )
        self._own_recipe = bool((runs["recipe"] == runs["model"]).all())
        subjects = runs[list(SUBJECT)].drop_duplicates().itertuples(index=False, name=None)
        self._variants: dict[str, list[tuple[Any, ...]]] = {}
        for subject in sorted(subjects, key=lambda s: (s[3], s[2] is not True, str(s[1]))):
            self._variants.setdefault(subject[0], []).append(subject)

    def case(self, key: tuple[Any, ...]) -> str:
        """E.g. "lenet5 on mnist" or "lenet5 on mnist (cuda, 4 threads)"."""
        if key not in self._cases:
            self._cases[key] = self._case(key)
        return self._cases[key]

    def _case(self, key: tuple[Any, ...]) -> str:
        dataset, model, recipe, device, precision, threads = key
        extras = [
            recipe if "recipe" in self._varying and not self._own_recipe else None,
            device if "device" in self._varying else None,
            precision if "precision" in self._varying else None,
            self._words("threads_count", count=threads) if "threads" in self._varying else None,
        ]
        name = self._words("case", model=plain(model), dataset=plain(dataset))
        return name + _bracketed(extras)

    def subject(self, key: tuple[Any, ...]) -> str:
        """E.g. "torch", or "torch (2.12.0, untuned)"."""
        if key not in self._subjects:
            self._subjects[key] = self._subject(key)
        return self._subjects[key]

    def _subject(self, key: tuple[Any, ...]) -> str:
        backend, version, tuning, in_set = key
        extras = [
            version or self._words("version_unknown") if backend in self._versions else None,
            self._words("untuned") if "tuning" in self._varying and not tuning else None,
            in_set if "set" in self._varying else None,
        ]
        return plain(backend) + _bracketed(extras)

    def look(self, key: tuple[Any, ...]) -> Look:
        """The look of a subject: the backend's colour, dashes and hatches tell its variants apart."""
        return look(key[0], self._variants[key[0]].index(key))


def _bracketed(extras: list[Any]) -> str:
    said = [plain(str(extra)) for extra in extras if extra is not None]
    return f" ({', '.join(said)})" if said else ""
