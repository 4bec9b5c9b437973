"""Two sets held against one another."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import results
from results.comparison import compare
from results.record import Record
from tests.results.records import fault, record, write


def changes(tmp_path: Path, before: list[Record], after: list[Record]) -> pd.DataFrame:
    sets = [write(tmp_path / name, records, name=name) for name, records in (("before", before), ("after", after))]
    return compare(results.load(*(one.path for one in sets))).set_index("backend")


def test_verdicts(tmp_path: Path) -> None:
    before = [record(b, repeat=i) for b in ("torch", "keras", "paddle", "mindspore", "numpy") for i in range(6)]
    after = [
        *(record("torch", repeat=i) for i in range(6)),
        *(record("keras", repeat=i, speed=1.3, framework_version="3.16.0") for i in range(6)),
        *(record("paddle", repeat=i, speed=0.5) for i in range(6)),
        *(fault("crashed", "mindspore", repeat=i) for i in range(6)),
    ]
    table = changes(tmp_path, before, after)
    assert dict(table["verdict"]) == {
        "torch": "no difference",
        "keras": "faster",
        "paddle": "slower",
        "mindspore": "not comparable",
        "numpy": "not comparable",
    }
    keras = table.loc["keras"]
    assert keras["ratio"] == pytest.approx(1.3)
    assert keras["ratio_low"] < 1.3 < keras["ratio_high"]
    assert (keras["version_before"], keras["version_after"]) == ("3.15.1", "3.16.0")
    assert table.loc["mindspore", "reason"] == "one_sided"
    assert (table.loc["mindspore", "runs_before"], table.loc["mindspore", "runs_after"]) == (6, 0)
    assert pd.isna(table.loc["numpy", "version_after"])


def test_other_inputs_are_not_comparable_and_are_named(tmp_path: Path) -> None:
    def with_data(made: Record, data: str) -> Record:
        return made.model_copy(update={"fingerprints": made.fingerprints.model_copy(update={"data": data})})

    before = [record(repeat=i) for i in range(3)]
    table = changes(tmp_path, before, [with_data(one, "other") for one in before])
    assert (table.loc["torch", "verdict"], table.loc["torch", "reason"]) == ("not comparable", "fingerprints: data")
    assert pd.isna(table.loc["torch", "ratio"])


def test_other_seeds_have_other_schedules_and_are_still_comparable(tmp_path: Path) -> None:
    table = changes(tmp_path, [record(seed=s) for s in range(3)], [record(seed=s, speed=2.0) for s in range(3, 6)])
    assert table.loc["torch", "verdict"] == "faster"


def test_only_two_sets_are_compared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two result sets are compared, got 1"):
        compare(results.load(write(tmp_path / "set", [record()]).path))
