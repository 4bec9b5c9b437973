"""What changed between two result sets: per case and backend a speed ratio, its interval and a verdict.

The sets were measured at different times, so that nothing pairs their rounds: the ratio is that of two independent
samples. Sets may differ in machine and versions (that is what one wants to compare). Runs of different trainings are
not comparable; where they bear the same names, the row says in which inputs they differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from results.columns import CASE, FINGERPRINTS, NAMES
from results.statistics import Ratio, Verdict, ratio_unpaired
from results.summary import per_seed
from results.tables import Results

KEY = (*(name for name in CASE if name not in ("set", "machine")), "backend", "tuning")
"""What runs of the two sets must share to be held against one another; the framework's version may differ."""
_OWN = ("own_version", "own_machine")
_CALLED = (*NAMES, *(name for name in KEY if name != "training"), *_OWN)

Groups = dict[tuple[Any, ...], pd.DataFrame]


def compare(results: Results) -> pd.DataFrame:
    """One row per training, its conditions, backend and manner that either of the two sets has.

    Columns: KEY; ``machine``, "" unless one of the sets was made on several; ``version_before``, ``version_after``;
    ``runs_before``, ``runs_after`` (that went well) and of these ``noisy_before``, ``noisy_after``;
    ``train_samples_per_second_before`` and ``_after`` (medians); ``ratio`` (after over before) with ``ratio_low``,
    ``ratio_high``; ``verdict`` and ``reason``; ``accuracy_before``, ``accuracy_after`` (medians). Raises ValueError
    unless there are exactly two sets.
    """
    if len(results.sets) != 2:
        raise ValueError(f"two result sets are compared, got {len(results.sets)}")
    current = results.runs[results.runs["current"]]
    versions = current.groupby(["set", "backend"])["version"].nunique()
    mixed = set(versions[versions > 1].index.get_level_values("backend"))
    several = current.groupby("set")["machine"].nunique().max() > 1
    current = current.assign(
        own_version=current["version"].where(current["backend"].isin(mixed), ""),
        own_machine=current["machine"] if several else "",
    )
    before, after = (_groups(current[current["set"] == name]) for name in results.names)
    return pd.DataFrame([_row(*row) for row in _rows(before, after, current.head(0))])


def _groups(runs: pd.DataFrame) -> Groups:
    """What one of the sets has of several versions or machines is held against its like alone."""
    return {tuple(key): group for key, group in runs.groupby([*KEY, *_OWN], sort=False, dropna=False)}


def _rows(
    before: Groups, after: Groups, none: pd.DataFrame
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame, pd.DataFrame]]:
    """Each key with the runs of either set; runs of other content stand beside those that bear their names."""
    alone = [key for key in before if key not in after]
    for key, runs in after.items():
        if key in before:
            yield key, before[key], runs
            continue
        namesake = next((one for one in alone if _called(before[one]) == _called(runs)), None)
        if namesake is not None:
            alone.remove(namesake)
        yield key, none if namesake is None else before[namesake], runs
    for key in alone:
        yield key, before[key], none


def _called(runs: pd.DataFrame) -> tuple[Any, ...]:
    return tuple(runs.iloc[0][list(_CALLED)])


def _row(key: tuple[Any, ...], before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    old, new = (runs[runs["status"] == "ok"] for runs in (before, after))
    found = _ratio(old, new)
    size = found.estimate
    row = dict(zip(KEY, key[: len(KEY)], strict=True)) | {"machine": key[-1]}
    for name, runs, ok in (("before", before, old), ("after", after, new)):
        row[f"version_{name}"] = ", ".join(sorted(set(runs["framework_version"].dropna()))) or None
        row[f"runs_{name}"] = len(ok)
        row[f"noisy_{name}"] = int(ok["noisy"].fillna(False).sum())
        row[f"train_samples_per_second_{name}"] = ok["train_samples_per_second"].median()
        row[f"accuracy_{name}"] = pd.Series(per_seed(ok, "test_accuracy"), dtype="float64").median()
    return row | {
        "ratio": math.nan if size is None else size.median,
        "ratio_low": math.nan if size is None or size.low is None else size.low,
        "ratio_high": math.nan if size is None or size.high is None else size.high,
        "verdict": found.verdict.value,
        "reason": found.reason,
    }


def _ratio(before: pd.DataFrame, after: pd.DataFrame) -> Ratio:
    if not before.empty and not after.empty and set(before["training"]) != set(after["training"]):
        return Ratio(None, Verdict.NOT_COMPARABLE, f"fingerprints: {', '.join(differing_inputs(before, after))}")
    old, new = (runs["train_samples_per_second"].dropna().loc[lambda rates: rates > 0] for runs in (before, after))
    return ratio_unpaired(new.tolist(), old.tolist())


def differing_inputs(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Prepared inputs in which runs of two trainings differ. Of seeds that both have if there are any."""
    common = set(first["seed"]) & set(second["seed"])
    differing = []
    for column in FINGERPRINTS:
        old, new = (
            set(runs.loc[runs["seed"].isin(common) if common else runs["seed"].notna(), column].dropna())
            for runs in (first, second)
        )
        if old and new and old != new:
            differing.append(column.removeprefix("fingerprint_"))
    return differing
