"""The summary: what the repeats of each backend on each case amount to, and how they stand to the baseline.

Runs are pooled only if they are of one training and agree in everything but seed, round and attempt. A ratio to the
baseline is taken within rounds and machines, and ratios of machines of one kind are pooled, which their rates are not.
What a training's seed decides (accuracies, losses) is one sample per seed, however often the seed was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from results.columns import CASE, FINGERPRINTS, NAMES, PAIR, SUBJECT, CaseKey, SubjectKey, rung
from results.statistics import Equivalence, Estimate, Ratio, Verdict, equivalence, estimate, ratio
from specs.errors import unknown

FRACTIONS = ("test_accuracy", "macro_precision", "macro_recall", "macro_f1")
SEEDED = (*FRACTIONS, "test_loss")
"""What the seed decides: repeats of it say nothing new."""
FIGURES = (
    *SEEDED, "train_samples_per_second", "inference_samples_per_second", "step_p50_ms", "step_p90_ms",
    "step_p99_ms", "first_step_s", "import_s", "build_s", "train_s", "eval_s", "total_s", "peak_rss_mb",
    "after_import_rss_mb", "device_peak_mb", "gflops", "share_of_peak", "busy_threads", "wanted_threads",
)  # fmt: skip
USUAL_BASELINE = "torch"


def choose_baseline(runs: pd.DataFrame, wanted: str | None, studied: str | None) -> str | None:
    """What ratios are taken to, NAME or NAME@VERSION. Raises RequestError where ``wanted`` has no run."""
    keys = runs[list(SUBJECT)].drop_duplicates().itertuples(index=False)
    there = list(dict.fromkeys(name for key in keys for name in SubjectKey(*key).spellings))
    if wanted is not None and wanted not in there:
        raise unknown("baseline", wanted, there, where="--baseline")
    candidates = [wanted, studied, USUAL_BASELINE, *there]
    return next((backend for backend in candidates if backend in there), None)


def summarise(runs: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """One row per case, each machine by itself, and subject (``results.columns``), in the order of their first run.

    Columns: NAMES, CASE and SUBJECT; ``runs``, ``ok``, ``noisy`` (counts of current runs) and ``seeds``;
    ``too_disturbed``: figures whose interval is too wide to tell anything and has no bounds here;
    ``parameters``; for every figure its median and ``*_low``, ``*_high`` (95 %; of SEEDED figures over the means of the
    seeds); ``time_to_X_s`` with ``reached_X`` (runs that got there); ``train_ratio`` and ``inference_ratio`` to the
    baseline with ``*_low``, ``*_high``, ``*_verdict``, ``*_reason``, ``*_rounds``; ``accuracy_difference`` to the
    baseline with ``accuracy_seeds``, its 90 % ``*_low``, ``*_high`` and ``accuracy_equivalent``.
    """
    rows = []
    for case in cases(runs):
        peer = case.baseline(baseline)
        rows += [_summary_row(case, subject, peer) for subject in case.subjects]
    return pd.DataFrame(rows, columns=None if rows else [*NAMES, *CASE, *SUBJECT, "runs", "ok", "noisy"])


@dataclass(frozen=True, eq=False)
class Subject:
    """One of those compared in a case: its key (the values of SUBJECT) and its current runs."""

    key: SubjectKey
    runs: pd.DataFrame

    @property
    def backend(self) -> str:
        return self.key.backend

    @property
    def noisy(self) -> int:
        """How many of the runs that went well were disturbed by other work."""
        return int(self.ok["noisy"].fillna(False).sum())

    @property
    def disproved(self) -> bool:
        """Whether a proof of the case failed: the subject computes something else, and is held against nobody."""
        return bool((self.runs["proof"] == "failed").any())

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The runs that went well."""
        return self.runs[self.runs["status"] == "ok"]


@dataclass(frozen=True, eq=False)
class Case:
    """Runs that may be compared: its key (the values of CASE), its subjects, and the names of its first run."""

    key: CaseKey
    subjects: tuple[Subject, ...]
    model: str
    dataset: str
    recipe: str

    def baseline(self, backend: str | None) -> Subject | None:
        """The subject that the others are held against: its recommended manner, else the highest.

        Of a backend in several versions, where none is named, the one that ran first.
        """
        peers = [
            peer for peer in self.subjects if backend in peer.key.spellings and len(peer.ok) and not peer.disproved
        ]
        return max(peers, key=lambda peer: (peer.key.tuning == "recommended", rung(peer.key.tuning)), default=None)

    def in_manners(self) -> Iterator[tuple[Subject, ...]]:
        """Its subjects by the manner in which their frameworks were used: only these are ranked among themselves."""
        for manner in sorted({subject.key.tuning for subject in self.subjects}, key=rung):
            yield tuple(subject for subject in self.subjects if subject.key.tuning == manner)


def cases(runs: pd.DataFrame, *, by: Literal["machine", "machine_kind"] = "machine") -> Iterator[Case]:
    """The cases of a run table and their subjects, both in the order of their first run.

    ``by`` machine_kind a case has the runs of all machines of one kind: for ratios, not for what is in units.
    """
    current = runs[runs["current"]]
    for key, group in _groups(current, (*(name for name in CASE if name != "machine"), by)):
        subjects = (Subject(SubjectKey(*subject), runs) for subject, runs in _groups(group, SUBJECT))
        first = group.iloc[0]
        yield Case(CaseKey(*key), tuple(subjects), *(str(first[name]) for name in NAMES))


def pairs(subject: Subject, peer: Subject, column: str) -> pd.DataFrame:
    """``subject`` and ``peer`` values of a column in rounds where both ran well, on one machine.

    Runs of one training and seed have the same inputs (``results.identity``). A run without fingerprints has no pair:
    nothing shows that it had them. Where either has several runs of one round (single runs are all of the first), the
    first goes with the first, the second with the second.
    """
    left, right = _numbered(subject, column, "subject"), _numbered(peer, column, "peer")
    return left.merge(right, on=[*PAIR, "nth"])


def _numbered(subject: Subject, column: str, name: str) -> pd.DataFrame:
    known = subject.ok[subject.ok[[*FINGERPRINTS, column]].notna().all(axis=1)]
    values = known[[*PAIR, column]].rename(columns={column: name})
    return values.assign(nth=values.groupby(list(PAIR)).cumcount())


def speed_ratio(subject: Subject, peer: Subject, column: str) -> Ratio:
    """How many times as much ``subject`` has as ``peer`` of a figure above zero (samples per second, MiB)."""
    both = pairs(subject, peer, column)
    both = both[(both["subject"] > 0) & (both["peer"] > 0)]
    return ratio(list(zip(both["subject"], both["peer"], strict=True)))


def accuracy_equivalence(subject: Subject, peer: Subject) -> Equivalence | None:
    """Equivalence of test accuracies, one sample per seed: repeats of a seed share their start."""
    both = pairs(subject, peer, "test_accuracy")
    differences = both["subject"] - both["peer"]
    return equivalence(list(differences.groupby(both["seed"]).mean()))


def per_seed(runs: pd.DataFrame, column: str) -> list[float]:
    """The mean of a figure for each seed that has it."""
    return list(runs.groupby("seed")[column].mean().dropna())


def _summary_row(case: Case, subject: Subject, peer: Subject | None) -> dict[str, Any]:
    ok = subject.ok
    row: dict[str, Any] = {name: getattr(case, name) for name in NAMES} | case.key._asdict() | subject.key._asdict()
    row |= {"runs": len(subject.runs), "ok": len(ok), "noisy": subject.noisy, "seeds": ok["seed"].nunique()}
    row["too_disturbed"] = ""
    row["parameters"] = next((int(value) for value in subject.runs["parameters"].dropna()), pd.NA)
    for figure in FIGURES:
        values = per_seed(ok, figure) if figure in SEEDED else ok[figure].dropna().tolist()
        share = figure in FRACTIONS
        found = estimate(values, share=share)
        _enter(row, figure, found, told=share or found is None or not found.disturbed)
    for column in (c for c in ok.columns if c.startswith("reached_")):
        time = f"time_to_{column.removeprefix('reached_')}_s"
        found = estimate(ok[time].dropna().tolist())
        _enter(row, time, found, told=found is None or not found.disturbed)
        row[column] = int(ok[column].fillna(False).sum())
    _relate(row, subject, peer)
    return row


def _enter(row: dict[str, Any], name: str, found: Estimate | None, *, told: bool) -> None:
    """An estimate in its columns; one whose interval is too wide to tell anything has no bounds, and is named."""
    row[name] = math.nan if found is None else found.median
    row[f"{name}_low"] = math.nan if found is None or not told else _or_nan(found.low)
    row[f"{name}_high"] = math.nan if found is None or not told else _or_nan(found.high)
    if not told:
        row["too_disturbed"] = f"{row['too_disturbed']} {name}".strip()


def _relate(row: dict[str, Any], subject: Subject, peer: Subject | None) -> None:
    """The columns of a subject beside the baseline's."""
    is_baseline = peer is not None and peer.key == subject.key
    for name in ("train", "inference"):
        found = Ratio(None, Verdict.NOT_COMPARABLE, "no_baseline")
        if is_baseline:
            found = Ratio(Estimate(1.0, None, None, 0), Verdict.NO_DIFFERENCE)
        elif subject.disproved:
            found = Ratio(None, Verdict.NOT_COMPARABLE, "disproved")
        elif peer is not None:
            found = speed_ratio(subject, peer, f"{name}_samples_per_second")
        _enter(row, f"{name}_ratio", found.estimate, told=found.reason != "disturbed")
        row |= {
            f"{name}_ratio_rounds": 0 if found.estimate is None else found.estimate.n,
            f"{name}_verdict": "baseline" if is_baseline else found.verdict.value,
            f"{name}_reason": found.reason,
        }
    same = None if peer is None or is_baseline else accuracy_equivalence(subject, peer)
    row |= {
        "accuracy_seeds": 0 if same is None else same.n,
        "accuracy_difference": math.nan if same is None else same.difference,
        "accuracy_difference_low": math.nan if same is None else _or_nan(same.low),
        "accuracy_difference_high": math.nan if same is None else _or_nan(same.high),
        "accuracy_equivalent": pd.NA if same is None or same.equivalent is None else same.equivalent,
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _groups(table: pd.DataFrame, keys: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, group in table.groupby(list(keys), sort=False, dropna=False):
        yield (key if isinstance(key, tuple) else (key,)), group
