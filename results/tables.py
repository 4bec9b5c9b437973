"""The tables: one tidy row per run, one per epoch, and a summary per training and backend.

Missing is never zero: a figure that a run does not have is NaN (pandas.NA where integer or boolean), and a run that
did not end well keeps its row with its status.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from results.collector import paused
from results.columns import CASE, PAIR, RUN_COLUMNS, SUBJECT, Kind
from results.identity import trainings
from results.machines import TOLD_SINCE, Said, identified
from results.race import Race, pooled
from results.record import MachineRecord, Record, Row
from results.store import Damaged, ResultSet
from results.summary import choose_baseline, summarise

_DTYPES: Mapping[Kind, str] = {
    "text": "object",
    "integer": "Int64",
    "boolean": "boolean",
    "figure": "float64",
    "time": "object",
}
EPOCH_COLUMNS = (
    "epoch", "train_loss", "test_loss", "test_accuracy", "validation_loss", "validation_accuracy",
    "train_seconds", "eval_seconds", "samples_per_second",
)  # fmt: skip
_epoch_values = attrgetter(*EPOCH_COLUMNS)
_EPOCH_KEYS = ("set", "run_id", "status", "backend", "version", "model", "dataset", "recipe", "device",
               "precision", "threads", "tuning", "training", "seed", "round", "noisy")  # fmt: skip


class Results:
    """The runs of one or more result sets. Made by ``results.load``."""

    def __init__(self, sets: Sequence[ResultSet]) -> None:
        self.sets = tuple(sets)
        self.names = _distinct_names(self.sets)
        self.damaged: list[Damaged] = []
        self.rows: list[tuple[str, Row]] = []  # with the name of their set, in file order
        raced: list[tuple[str, Race]] = []
        for name, one in zip(self.names, self.sets, strict=True):
            rows, damaged = one.rows()
            races, broken = one.races()
            self.damaged += [*damaged, *broken]
            raced += [(name, race) for race in races]
            self.rows += [(name, row) for row in rows]
        told = [Said(row.environment, row.schema_version >= TOLD_SINCE) for _, row in self.rows]
        told += [Said(race.machine or MachineRecord(), race.machine is not None) for _, race in raced]
        places = identified(told)
        self._places = places[: len(self.rows)]
        self.machines = tuple(dict.fromkeys(places))  # of runs and races, as they first appear
        groups: dict[tuple[str, str], list[Race]] = {}
        for (name, race), place in zip(raced, places[len(self.rows) :], strict=True):
            known = race.model_copy(update={"machine": place.facts})  # races of before may not say it
            groups.setdefault((name, place.kind), []).append(known)
        # With set and kind of machine, all of one training as one.
        self.races = [(*key, race) for key, races in groups.items() for race in pooled(races)]

    def __repr__(self) -> str:
        """What there is, and what can be asked of it."""
        count = Counter(row.status for _, row in self.rows)
        statuses = ", ".join(f"{number} {status}" for status, number in count.most_common())
        damaged = f", {len(self.damaged)} damaged lines" if self.damaged else ""
        asked = ".runs, .epochs, .summary(), .damaged"
        return f"<Results of {', '.join(self.names)}: {len(self.rows)} runs ({statuses}){damaged}; {asked}>"

    @classmethod
    @paused()
    def load(cls, paths: Iterable[str | Path]) -> Results:
        """The sets at these paths, each once. Raises RequestError where one is no set."""
        return cls([ResultSet.open(path) for path in dict.fromkeys(Path(path).resolve() for path in paths)])

    @cached_property
    @paused()
    def runs(self) -> pd.DataFrame:
        """One row per run with the columns of ``results.columns``, and:

        - ``set``: the result set's name;
        - ``training``: the identity of what was trained (``results.identity``), by which runs are held together;
        - ``version``: the framework's; of a run that died before it could say it, the one that all other runs of its
          backend in the set say, else "";
        - ``machine``, ``machine_kind``: where it ran (``results.machines``);
        - ``current``: False for a run that a later attempt repeats, which no summary counts;
        - ``time_to_X_s``, ``reached_X``: training seconds to test accuracy X (NaN: not reached) and whether it was.
        """
        rows = [row for _, row in self.rows]
        data: dict[str, Any] = {"set": pd.Series([name for name, _ in self.rows], dtype="object")}
        by_column = _transposed(([column.get(row) for column in RUN_COLUMNS] for row in rows), len(RUN_COLUMNS))
        for column, values in zip(RUN_COLUMNS, by_column, strict=True):
            data[column.name] = pd.Series(values, dtype=_DTYPES[column.kind])
        for target in sorted({target for row in rows for target in row.time_to_accuracy}):
            times = [row.time_to_accuracy.get(target) for row in rows]
            known = [target in row.time_to_accuracy for row in rows]
            reached = [time is not None if knows else None for time, knows in zip(times, known, strict=True)]
            data[f"time_to_{target}_s"] = pd.Series(times, dtype="float64")
            data[f"reached_{target}"] = pd.Series(reached, dtype="boolean")
        runs = pd.DataFrame(data)
        runs["started_at"] = pd.to_datetime(runs["started_at"], format="ISO8601", utc=True)
        runs["training"] = pd.Series(trainings(rows), dtype="object")
        runs["version"] = _versions(runs)
        runs["machine"] = pd.Series([place.name for place in self._places], dtype="object")
        runs["machine_kind"] = pd.Series([place.kind for place in self._places], dtype="object")
        same = list(dict.fromkeys([*CASE, *SUBJECT, *PAIR]))
        latest = runs.groupby(same, dropna=False)["attempt"].transform("max")
        runs["current"] = (runs["attempt"] == latest).astype(bool)
        return runs

    @cached_property
    @paused()
    def epochs(self) -> pd.DataFrame:
        """One row per epoch and run.

        Holds what names the run, ``epoch`` (from 1), the epoch's figures, and ``elapsed_train_s``: the seconds of
        training up to its end, evaluation apart.
        """
        owners = [number for number, (_, row) in enumerate(self.rows) for _ in row.epochs]
        table = self.runs[list(_EPOCH_KEYS)].take(owners).reset_index(drop=True)
        figures = (_epoch_values(epoch) for _, row in self.rows for epoch in row.epochs)
        for name, values in zip(EPOCH_COLUMNS, _transposed(figures, len(EPOCH_COLUMNS)), strict=True):
            table[name] = pd.Series(values, dtype="Int64" if name == "epoch" else "float64")
        seconds = table.groupby(["set", "run_id"], sort=False)["train_seconds"]
        table["elapsed_train_s"] = seconds.cumsum()
        return table

    def summary(self, baseline: str | None = None) -> pd.DataFrame:
        """One row per case, machine and subject (see ``results.summary``)."""
        return summarise(self.runs, self.baseline(baseline))

    def baseline(self, wanted: str | None = None) -> str | None:
        """The backend that ratios are taken to: the one asked for, else the study's own choice, else the usual one.

        Raises RequestError where no run has the one asked for; None where there are no runs.
        """
        studied = next((one.manifest.study.get("baseline") for one in self.sets), None)
        return choose_baseline(self.runs, wanted, studied if isinstance(studied, str) else None)

    def records(self, runs: pd.DataFrame) -> list[tuple[str, Record]]:
        """The whole records of some rows of ``runs``, with the name of their set, in file order."""
        found: list[tuple[str, Record]] = []
        for name, one in zip(self.names, self.sets, strict=True):
            wanted = frozenset(runs.loc[runs["set"] == name, "run_id"])
            found += [(name, record) for record in one.records(wanted)[0]] if wanted else []
        return found


def _versions(runs: pd.DataFrame) -> pd.Series[Any]:
    said = runs.dropna(subset=["framework_version"]).groupby(["set", "backend"])["framework_version"].unique()
    only = {key: versions[0] for key, versions in said.items() if len(versions) == 1}
    keys = zip(runs["framework_version"], runs["set"], runs["backend"], strict=True)
    return pd.Series([own or only.get((name, backend), "") for own, name, backend in keys], dtype="object")


def _transposed(rows: Iterable[Sequence[Any]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) or [()] * width


def _distinct_names(sets: Sequence[ResultSet]) -> tuple[str, ...]:
    """The sets' names, numbered where two are the same."""
    names: list[str] = []
    for one in sets:
        name, number = one.manifest.name, 2
        while name in names:
            name, number = f"{one.manifest.name} ({number})", number + 1
        names.append(name)
    return tuple(names)
