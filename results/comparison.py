"""What changed between two result sets: per case and backend a speed ratio, its interval and a verdict.

The sets were measured at different times, so that nothing pairs their rounds: the ratio is that of two independent
samples. Sets may differ in machine and versions (that is what one wants to compare); runs whose prepared inputs differ
are not comparable.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from results.columns import CASE, FINGERPRINTS
from results.statistics import Ratio, Verdict, ratio_unpaired
from results.tables import Results

KEY = (*(name for name in CASE if name != "set"), "backend", "tuning")
"""What runs of the two sets must share to be held against one another; the framework's version may differ."""


def compare(results: Results) -> pd.DataFrame:
    """One row per case, backend and tuning that either of the two sets has.

    Columns: KEY; ``version_before``, ``version_after``; ``runs_before``, ``runs_after`` (that went well);
    ``train_samples_per_second_before`` and ``_after`` (medians); ``ratio`` (after over before) with ``ratio_low``,
    ``ratio_high``; ``verdict`` and ``reason``; ``accuracy_before``, ``accuracy_after`` (medians). Raises ValueError
    unless there are exactly two sets.
    """
    if len(results.sets) != 2:
        raise ValueError(f"two result sets are compared, got {len(results.sets)}")
    current = results.runs[results.runs["current"]]
    before, after = (current[current["set"] == name] for name in results.names)
    keys = current[list(KEY)].drop_duplicates()
    return pd.DataFrame(
        [_row(key, _of(before, key), _of(after, key)) for key in keys.itertuples(index=False, name=None)]
    )


def _of(runs: pd.DataFrame, key: tuple[Any, ...]) -> pd.DataFrame:
    chosen = pd.Series(True, index=runs.index)
    for column, value in zip(KEY, key, strict=True):
        chosen &= runs[column] == value
    return runs[chosen]


def _row(key: tuple[Any, ...], before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    old, new = (runs[runs["status"] == "ok"] for runs in (before, after))
    found = _ratio(old, new)
    size = found.estimate
    row = dict(zip(KEY, key, strict=True))
    for name, runs, ok in (("before", before, old), ("after", after, new)):
        row[f"version_{name}"] = ", ".join(sorted(set(runs["framework_version"].dropna()))) or None
        row[f"runs_{name}"] = len(ok)
        row[f"train_samples_per_second_{name}"] = ok["train_samples_per_second"].median()
        row[f"accuracy_{name}"] = ok["test_accuracy"].median()
    return row | {
        "ratio": math.nan if size is None else size.median,
        "ratio_low": math.nan if size is None or size.low is None else size.low,
        "ratio_high": math.nan if size is None or size.high is None else size.high,
        "verdict": found.verdict.value,
        "reason": found.reason,
    }


def _ratio(before: pd.DataFrame, after: pd.DataFrame) -> Ratio:
    differing = _differing_inputs(before, after)
    if differing:
        return Ratio(None, Verdict.NOT_COMPARABLE, f"fingerprints: {', '.join(differing)}")
    old, new = (runs["train_samples_per_second"].dropna().loc[lambda rates: rates > 0] for runs in (before, after))
    return ratio_unpaired(new.tolist(), old.tolist())


def _differing_inputs(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Prepared inputs in which the sets differ. Of seeds that both have if there are any, else of what no seed sets."""
    common = set(before["seed"]) & set(after["seed"])
    columns = FINGERPRINTS if common else ("fingerprint_architecture", "fingerprint_data")
    differing = []
    for column in columns:
        old, new = (
            set(runs.loc[runs["seed"].isin(common) if common else runs["seed"].notna(), ["seed", column]].dropna()
                .itertuples(index=False, name=None))
            for runs in (before, after)
        )  # fmt: skip
        if not common:
            old, new = {value for _, value in old}, {value for _, value in new}
        if old and new and old != new:
            differing.append(column.removeprefix("fingerprint_"))
    return differing
