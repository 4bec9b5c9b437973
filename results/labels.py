"""Short names for what is compared: only what the runs at hand differ in is said."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from results.columns import CASE, NAMES, SUBJECT, CaseKey, SubjectKey, rung
from results.formatting import plain
from results.palette import Look, look
from results.words import Words
from specs.versioned import version_order


class Labels:
    """Names of the cases and subjects of a run table, in a language.

    A training is called by the model and data set of its first run; where several are called the same, the second is
    "lenet5 (2)".
    """

    def __init__(self, runs: pd.DataFrame, words: Words) -> None:
        self._words = words
        self._cases: dict[CaseKey, str] = {}  # a table of all runs asks for the same few again and again
        self._subjects: dict[SubjectKey, str] = {}
        self._varying = {key for key in (*CASE, *SUBJECT, "recipe") if runs[key].nunique(dropna=False) > 1}
        self.machines = _told_apart(runs)  # those, and kinds of them, whose names tell something
        self._versions = set(runs.groupby("backend")["version"].nunique().loc[lambda n: n > 1].index)
        self._own_recipe = bool((runs["recipe"] == runs["model"]).all())
        firsts = runs.drop_duplicates("training")
        called = firsts[["training", *NAMES]].itertuples(index=False, name=None)
        self._names = {str(training): tuple(map(str, names)) for training, *names in called}
        self.namesakes: dict[tuple[str, ...], list[str]] = {}
        for training, names in self._names.items():
            self.namesakes.setdefault(names, []).append(training)
        subjects = [SubjectKey(*key) for key in runs[list(SUBJECT)].drop_duplicates().itertuples(index=False)]
        self._variants: dict[str, list[SubjectKey]] = {}
        for subject in sorted(subjects, key=lambda key: (rung(key.tuning), version_order(key.version))):
            self._variants.setdefault(subject.backend, []).append(subject)

    def number(self, training: str) -> int:
        """1 for the first training of its names, 2 for the second."""
        return self.namesakes[self._names[training]].index(training) + 1

    def training(self, training: str) -> str:
        """E.g. "lenet5 on mnist", or "lenet5 (2) on mnist" where that is another training of the same names."""
        model, dataset, recipe = self._names[training]
        number = self.number(training)
        name = self._words("case", model=plain(model) + (f" ({number})" if number > 1 else ""), dataset=plain(dataset))
        return name + _bracketed([recipe if "recipe" in self._varying and not self._own_recipe else None])

    def case(self, key: CaseKey) -> str:
        """E.g. "lenet5 on mnist" or "lenet5 on mnist (cuda, 4 threads)". An empty ``set`` is not said."""
        if key not in self._cases:
            self._cases[key] = self.training(key.training) + _bracketed(
                [
                    key.device if "device" in self._varying else None,
                    key.precision if "precision" in self._varying else None,
                    self._words("threads_count", count=key.threads) if "threads" in self._varying else None,
                    key.set if "set" in self._varying and key.set else None,
                    self.machine(key) or None,
                ]
            )
        return self._cases[key]

    def machine(self, key: CaseKey) -> str:
        """E.g. "machine A"; empty where that tells nothing."""
        return self._words("machine_name", name=key.machine) if key.machine in self.machines else ""

    def subject(self, key: SubjectKey) -> str:
        """E.g. "torch", or "torch (2.12.0, default)"."""
        if key not in self._subjects:
            extras = [
                key.version or self._words("version_unknown") if key.backend in self._versions else None,
                self.manner(key.tuning) if "tuning" in self._varying else None,
            ]
            self._subjects[key] = plain(key.backend) + _bracketed(extras)
        return self._subjects[key]

    def together(self, keys: Sequence[SubjectKey]) -> str:
        """Subjects that differ in manner alone, e.g. "torch (default, expert)"."""
        if len(keys) == 1:
            return self.subject(keys[0])
        version = [keys[0].version or None] if keys[0].backend in self._versions else []
        manners = sorted((key.tuning for key in keys), key=rung)
        return plain(keys[0].backend) + _bracketed([*version, *(self.manner(manner) for manner in manners)])

    def framework(self, backend: str, version: str) -> str:
        """A backend, with its version where several ran."""
        return plain(backend) + _bracketed([version or None] if backend in self._versions else [])

    def manner(self, manner: str) -> str:
        """How a framework was used, in one word."""
        return self._words(f"tuning_{manner}")

    def look(self, key: SubjectKey) -> Look:
        """The look of a subject: the backend's colour, dashes and hatches tell its variants apart."""
        return look(key.backend, self._variants[key.backend].index(key))


def _told_apart(runs: pd.DataFrame) -> set[str]:
    """The machines, and the kinds of machine, of which a set has several."""
    found: set[str] = set()
    for column in ("machine", "machine_kind"):
        if (runs.groupby("set")[column].nunique() > 1).any():
            found |= set(runs[column])
    return found


def _bracketed(extras: list[str | None]) -> str:
    said = [plain(extra) for extra in extras if extra is not None]
    return f" ({', '.join(said)})" if said else ""
