"""The summary: what the repeats of each backend on each case amount to, and how they stand to the baseline.

Runs are pooled only if they agree in everything but seed, repeat, round and attempt. A ratio to the baseline is taken
within rounds, and only where the fingerprints of the prepared inputs agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from results.columns import CASE, FINGERPRINTS, PAIR, SUBJECT, CaseKey, SubjectKey, by_preference
from results.statistics import Equivalence, Ratio, Verdict, equivalence, estimate, ratio
from specs.errors import unknown

FRACTIONS = ("test_accuracy", "macro_precision", "macro_recall", "macro_f1")
FIGURES = (
    *FRACTIONS, "test_loss", "train_samples_per_second", "inference_samples_per_second", "step_p50_ms", "step_p90_ms",
    "step_p99_ms", "first_step_s", "import_s", "build_s", "train_s", "eval_s", "total_s", "peak_rss_mb",
    "after_import_rss_mb", "device_peak_mb", "gflops", "share_of_peak", "busy_threads", "wanted_threads",
)  # fmt: skip
USUAL_BASELINE = "torch"


def choose_baseline(runs: pd.DataFrame, wanted: str | None, studied: str | None) -> str | None:
    """The backend that ratios are taken to. Raises RequestError where ``wanted`` has no run."""
    there = list(dict.fromkeys(runs["backend"]))
    if wanted is not None and wanted not in there:
        raise unknown("baseline", wanted, there, where="--baseline")
    candidates = [wanted, studied, USUAL_BASELINE, *there]
    return next((backend for backend in candidates if backend in there), None)


def summarise(runs: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """One row per case and subject (``results.columns``), in the order in which they first ran.

    Columns: CASE and SUBJECT; ``runs``, ``ok``, ``noisy`` (counts of current runs); ``parameters``; for every figure
    its median and ``*_low``, ``*_high`` (95 %); ``time_to_X_s`` with ``reached_X`` (runs that got there);
    ``train_ratio`` and ``inference_ratio`` to the baseline with ``*_low``, ``*_high``, ``*_verdict``, ``*_reason``,
    ``*_rounds``; ``accuracy_difference`` to the baseline with its 90 % ``*_low``, ``*_high`` and
    ``accuracy_equivalent``.
    """
    rows = []
    for case in cases(runs):
        peer = case.baseline(baseline)
        rows += [_summary_row(case, subject, peer) for subject in case.subjects]
    return pd.DataFrame(rows, columns=None if rows else [*CASE, *SUBJECT, "runs", "ok", "noisy"])


@dataclass(frozen=True, eq=False)
class Subject:
    """One of those compared in a case: its key (the values of SUBJECT) and its current runs."""

    key: SubjectKey
    runs: pd.DataFrame

    @property
    def backend(self) -> str:
        return self.key.backend

    @property
    def ok(self) -> pd.DataFrame:
        """The runs that went well."""
        return self.runs[self.runs["status"] == "ok"]


@dataclass(frozen=True, eq=False)
class Case:
    """Runs that may be compared: its key (the values of CASE) and its subjects."""

    key: CaseKey
    subjects: tuple[Subject, ...]

    def baseline(self, backend: str | None) -> Subject | None:
        """The subject of a backend that the others are held against: the recommended manner before others."""
        peers = [peer for peer in self.subjects if peer.backend == backend and len(peer.ok)]
        return min(peers, key=lambda peer: by_preference(peer.key.tuning), default=None)


def cases(runs: pd.DataFrame) -> Iterator[Case]:
    """The cases of a run table and their subjects, both in the order of their first run."""
    current = runs[runs["current"]]
    for key, group in _groups(current, CASE):
        subjects = (Subject(SubjectKey(*subject), runs) for subject, runs in _groups(group, SUBJECT))
        yield Case(CaseKey(*key), tuple(subjects))


def pairs(subject: Subject, peer: Subject, column: str) -> pd.DataFrame:
    """``subject`` and ``peer`` values of a column in rounds where both ran well, with fingerprints that agree.

    A run without fingerprints has no pair: nothing shows that it had the same inputs.
    """
    keys = [*PAIR, *FINGERPRINTS]
    left = subject.ok[[*keys, column]].dropna().rename(columns={column: "subject"})
    right = peer.ok[[*keys, column]].dropna().rename(columns={column: "peer"})
    return left.merge(right, on=keys)


def differing_fingerprints(subject: Subject, peer: Subject) -> list[str]:
    """Names of the prepared inputs in which runs of the same seed differ, e.g. ["data"]."""
    columns = ["seed", *FINGERPRINTS]
    merged = (
        subject.runs[columns]
        .drop_duplicates()
        .merge(peer.runs[columns].drop_duplicates(), on="seed", suffixes=("", "_peer"))
    )
    return [
        column.removeprefix("fingerprint_")
        for column in FINGERPRINTS
        if (merged[[column, f"{column}_peer"]].dropna().nunique(axis=1) > 1).any()
    ]


def speed_ratio(subject: Subject, peer: Subject, column: str) -> Ratio:
    """How many times as fast ``subject`` is as ``peer`` by a samples-per-second column."""
    both = pairs(subject, peer, column)
    both = both[(both["subject"] > 0) & (both["peer"] > 0)]
    if both.empty and (differing := differing_fingerprints(subject, peer)):
        return Ratio(None, Verdict.NOT_COMPARABLE, f"fingerprints: {', '.join(differing)}")
    return ratio(list(zip(both["subject"], both["peer"], strict=True)))


def accuracy_equivalence(subject: Subject, peer: Subject) -> Equivalence | None:
    """Equivalence of test accuracies. Repeats of one seed are averaged first where there are several seeds.

    (They share their start, so they say nothing new about other starts.)
    """
    both = pairs(subject, peer, "test_accuracy")
    differences = both["subject"] - both["peer"]
    by_seed = differences.groupby(both["seed"]).mean()
    return equivalence(list(by_seed if len(by_seed) > 1 else differences))


def _summary_row(case: Case, subject: Subject, peer: Subject | None) -> dict[str, Any]:
    ok = subject.ok
    row: dict[str, Any] = case.key._asdict() | subject.key._asdict()
    row |= {"runs": len(subject.runs), "ok": len(ok), "noisy": int(ok["noisy"].fillna(False).sum())}
    row["parameters"] = next((int(value) for value in subject.runs["parameters"].dropna()), pd.NA)
    for figure in FIGURES:
        row |= _estimated(figure, ok[figure], most=1.0 if figure in FRACTIONS else math.inf)
    for column in (c for c in ok.columns if c.startswith("reached_")):
        time = f"time_to_{column.removeprefix('reached_')}_s"
        row |= _estimated(time, ok[time]) | {column: int(ok[column].fillna(False).sum())}
    return row | _relative(subject, peer)


def _estimated(name: str, values: pd.Series[Any], *, most: float = math.inf) -> dict[str, Any]:
    found = estimate(values.dropna().tolist(), least=0.0, most=most)
    if found is None:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    return {name: found.median, f"{name}_low": _or_nan(found.low), f"{name}_high": _or_nan(found.high)}


def _relative(subject: Subject, peer: Subject | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    is_baseline = peer is not None and peer.key == subject.key
    for name in ("train", "inference"):
        found = Ratio(None, Verdict.NOT_COMPARABLE, "no_baseline")
        if peer is not None and not is_baseline:
            found = speed_ratio(subject, peer, f"{name}_samples_per_second")
        size = found.estimate
        row |= {
            f"{name}_ratio": 1.0 if is_baseline else math.nan if size is None else size.median,
            f"{name}_ratio_low": math.nan if size is None else _or_nan(size.low),
            f"{name}_ratio_high": math.nan if size is None else _or_nan(size.high),
            f"{name}_ratio_rounds": 0 if size is None else size.n,
            f"{name}_verdict": "baseline" if is_baseline else found.verdict.value,
            f"{name}_reason": "" if is_baseline else found.reason,
        }
    same = None if peer is None or is_baseline else accuracy_equivalence(subject, peer)
    return row | {
        "accuracy_difference": math.nan if same is None else same.difference,
        "accuracy_difference_low": math.nan if same is None else same.low,
        "accuracy_difference_high": math.nan if same is None else same.high,
        "accuracy_equivalent": pd.NA if same is None else same.equivalent,
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _groups(table: pd.DataFrame, keys: tuple[str, ...]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, group in table.groupby(list(keys), sort=False, dropna=False):
        yield (key if isinstance(key, tuple) else (key,)), group
