"""The tables: tidy, typed, honest about what is missing, quick, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results
from results import export
from results.columns import RUN_COLUMNS
from results.findings import Analysis
from results.record import Record, Throughput
from results.store import ResultSet
from results.words import Words
from specs.errors import RequestError
from tests.results.records import fault, parse, record, study, write
from tests.results.timing import costs_at_most

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> results.Results:
    return results.load(write(tmp_path_factory.mktemp("sets") / "demo", study()).path)


def summary_of(tmp_path: Path, records: list[Record], baseline: str | None = None) -> pd.DataFrame:
    return results.load(write(tmp_path / "set", records).path).summary(baseline)


def test_one_tidy_row_per_run(demo: results.Results) -> None:
    runs = demo.runs
    assert len(runs) == 24
    assert runs["run_id"].is_unique
    assert {column.name for column in RUN_COLUMNS} <= set(runs.columns)
    first = runs.iloc[0]
    made = study()[0]
    assert first["train_samples_per_second"] == made.throughput.train_samples_per_second
    assert first["gflops"] == pytest.approx(made.throughput.train_samples_per_second * 1_219_594 / 1e9)
    assert first["share_of_peak"] == pytest.approx(first["gflops"] / 339)
    assert str(runs["started_at"].dtype).startswith("datetime64")
    assert runs["started_at"].dt.tz is not None


def test_missing_is_not_zero(demo: results.Results) -> None:
    bad = demo.runs[demo.runs["status"] != "ok"]
    assert set(bad["status"]) == {"crashed", "timed_out"}
    assert bad[["test_accuracy", "train_samples_per_second", "peak_rss_mb", "train_s"]].isna().all(axis=None)
    assert bad["error_message"].notna().all()
    assert bad["signal"].notna().all()
    assert bad["exit_code"].isna().all()
    assert demo.runs["device_peak_mb"].isna().all()


def test_a_target_not_reached_is_told_from_one_not_asked_for(tmp_path: Path) -> None:
    asked = record("torch", "mlp")
    unasked = record("keras", "mlp", time_to_accuracy={})
    runs = results.load(write(tmp_path / "set", [asked, unasked]).path).runs.set_index("backend")
    assert runs.loc["torch", "reached_0.90"] == True  # noqa: E712 - pandas' own boolean
    assert runs.loc["torch", "reached_0.97"] == False  # noqa: E712
    assert math.isnan(runs.loc["torch", "time_to_0.97_s"])
    assert runs.loc["keras", "reached_0.97"] is pd.NA


def test_one_row_per_epoch(demo: results.Results) -> None:
    epochs = demo.epochs
    assert len(epochs) == 22 * 3
    one = epochs[epochs["run_id"] == "torch-mlp-mnist-s0-r0"]
    assert list(one["epoch"]) == [1, 2, 3]
    assert list(one["elapsed_train_s"]) == pytest.approx(list(one["train_seconds"].cumsum()))
    assert set(one["backend"]) == {"torch"}


def test_summary_medians_and_ratios(demo: results.Results) -> None:
    summary = demo.summary(baseline="torch").set_index(["model", "backend"])
    assert len(summary) == 8
    torch, keras = summary.loc[("mlp", "torch")], summary.loc[("mlp", "keras")]
    runs = demo.runs.query("model == 'mlp' and backend == 'torch'")
    assert torch["train_samples_per_second"] == runs["train_samples_per_second"].median()
    assert torch["train_samples_per_second_low"] < torch["train_samples_per_second"]
    assert torch["train_samples_per_second_high"] > torch["train_samples_per_second"]
    assert (torch["train_ratio"], torch["train_verdict"]) == (1.0, "baseline")
    assert keras["train_verdict"] == "slower"
    assert keras["train_ratio_low"] < keras["train_ratio"] < keras["train_ratio_high"] < 1
    assert keras["train_ratio_rounds"] == 3
    crashed = summary.loc[("lenet5", "mindspore")]
    assert (crashed["runs"], crashed["ok"], crashed["train_ratio_rounds"]) == (3, 2, 2)
    assert summary.loc[("lenet5", "keras")]["noisy"] == 1


def test_what_is_too_disturbed_has_no_bounds(tmp_path: Path) -> None:
    """Two rounds, one of them stopped halfway: no interval from 0.0005 to 4e7 and no ratio of 0.0006 to 117."""
    rates = {"torch": [10_000.0, 11_000.0], "keras": [9_000.0, 90_000.0]}
    records = [
        record(b, repeat=i, throughput=Throughput(train_samples_per_second=rate))
        for b, own in rates.items()
        for i, rate in enumerate(own)
    ]
    summary = summary_of(tmp_path, records).set_index("backend")
    assert summary.loc["torch", "too_disturbed"] == ""
    assert 0 < summary.loc["torch", "train_samples_per_second_low"] < 10_000
    keras = summary.loc["keras"]
    assert keras["too_disturbed"] == "train_samples_per_second gflops share_of_peak train_ratio"
    assert math.isnan(keras["train_samples_per_second_low"])
    assert math.isnan(keras["train_ratio_high"])
    assert (keras["train_verdict"], keras["train_reason"]) == ("cannot be told", "disturbed")


def test_accuracy_has_one_sample_per_seed(tmp_path: Path) -> None:
    records = [record(seed=s, repeat=r) for s in (0, 1) for r in range(4)]
    summary = summary_of(tmp_path, [*records, *(record("keras", seed=0, repeat=r) for r in range(4))])
    torch, keras = (summary.set_index("backend").loc[name] for name in ("torch", "keras"))
    by_seed = [np.mean([one.test_accuracy for one in records if one.seed == s]) for s in (0, 1)]
    assert torch["test_accuracy"] == pytest.approx(np.mean(by_seed))
    assert (torch["seeds"], keras["seeds"], keras["accuracy_seeds"]) == (2, 1, 1)
    assert math.isnan(keras["test_accuracy_low"]), "four repeats of one seed have no interval"
    assert keras["accuracy_equivalent"] is pd.NA


def test_repeats_by_hand_are_not_paired_with_all_of_the_others(tmp_path: Path) -> None:
    """Single runs are all of round 0: three of each make three pairs and not nine."""
    records = [record(b, run_id=f"{b}{i}") for i in range(3) for b in ("torch", "keras")]
    assert summary_of(tmp_path, records).set_index("backend").loc["keras", "train_ratio_rounds"] == 3


def test_ratios_are_taken_within_rounds(tmp_path: Path) -> None:
    """A machine that slows down by half from round to round does not change the ratio."""
    records = [
        record(backend, "mlp", repeat=repeat, spread=0.0, speed=0.5**repeat)
        for repeat in range(5)
        for backend in ("torch", "keras")
    ]
    keras = summary_of(tmp_path, records).set_index("backend").loc["keras"]
    assert keras["train_ratio"] == pytest.approx(118 / 160, rel=1e-6)
    assert keras["train_ratio_high"] - keras["train_ratio_low"] < 1e-6


def test_other_inputs_are_not_compared(tmp_path: Path) -> None:
    other = [
        record("keras", repeat=i).model_copy(
            update={
                "fingerprints": record("keras").fingerprints.model_copy(update={"data": "another", "schedule": "x"})
            }
        )
        for i in range(3)
    ]
    blank = [record("paddle", repeat=i, fingerprints=fault("failed").fingerprints.model_copy(update={"data": None}))
             for i in range(3)]  # fmt: skip
    summary = summary_of(tmp_path / "a", [*(record(repeat=i) for i in range(3)), *other]).set_index("backend")
    keras = summary.loc["keras"]
    assert (keras["train_verdict"], keras["train_reason"]) == ("not comparable", "no_baseline")
    assert math.isnan(keras["train_ratio"])
    paddle = (
        summary_of(tmp_path / "b", [*(record(repeat=i) for i in range(3)), *blank]).set_index("backend").loc["paddle"]
    )
    assert (paddle["train_verdict"], paddle["train_reason"]) == ("not comparable", "no_pair")


def test_only_the_last_attempt_counts(tmp_path: Path) -> None:
    records = [
        record("torch", attempt=1, run_id="a-1"),
        record("torch", attempt=2, run_id="a-2", speed=2.0),
        record("keras"),
    ]
    loaded = results.load(write(tmp_path / "set", records).path)
    assert list(loaded.runs["current"]) == [False, True, True]
    torch = loaded.summary().set_index("backend").loc["torch"]
    assert torch["runs"] == 1
    assert torch["train_samples_per_second"] == records[1].throughput.train_samples_per_second


def test_different_things_are_not_pooled(tmp_path: Path) -> None:
    records = [
        record("torch", repeat=0),
        record("torch", repeat=1, threads=4),
        record("torch", repeat=2, framework_version="2.12.0"),
        record("torch", repeat=3, tuning="default"),
        record("torch", repeat=4, precision="bfloat16"),
    ]
    assert list(summary_of(tmp_path, records)["runs"]) == [1] * 5


def test_a_run_that_died_early_belongs_to_its_backend(tmp_path: Path) -> None:
    """It could not say its framework's version; the others of the set do."""
    silent = fault("crashed", repeat=1, framework_version=None)
    summary = summary_of(tmp_path / "a", [record(), silent, record(repeat=2)])
    assert list(zip(summary["version"], summary["runs"], summary["ok"], strict=True)) == [("2.13.0", 3, 2)]
    alone = results.load(write(tmp_path / "b", [silent]).path)
    assert list(alone.runs["version"]) == [""]
    assert alone.runs["framework_version"].isna().all()
    two = [record(), record(repeat=2, framework_version="2.12.0"), silent]
    assert sorted(summary_of(tmp_path / "c", two)["version"]) == ["", "2.12.0", "2.13.0"]


def test_sets_are_merged_under_their_names(tmp_path: Path) -> None:
    first = write(tmp_path / "a", study(("torch",), ("mlp",)), name="laptop")
    second = write(tmp_path / "b", study(("torch",), ("mlp",)), name="laptop")
    merged = results.load(first.path, second.path, first.path)
    assert merged.names == ("laptop", "laptop (2)")
    assert merged.runs["set"].value_counts().to_dict() == {"laptop": 3, "laptop (2)": 3}
    assert len(merged.summary()) == 2


def test_the_baseline(demo: results.Results, tmp_path: Path) -> None:
    assert demo.baseline() == "torch"
    assert demo.baseline("paddle") == "paddle"
    with pytest.raises(RequestError, match=r"--baseline: unknown baseline 'mindspor'; did you mean 'mindspore'\?"):
        demo.baseline("mindspor")
    assert results.load(write(tmp_path / "set", [record("keras")]).path).baseline() == "keras"


def test_an_empty_set_has_empty_tables(tmp_path: Path) -> None:
    empty = results.load(ResultSet.create(tmp_path / "set", name="new", study={}).path)
    assert len(empty.runs) == len(empty.epochs) == len(empty.summary()) == 0
    assert "train_samples_per_second" in empty.runs
    assert "epoch" in empty.epochs
    assert "backend" in empty.summary()


def test_damaged_lines_are_named(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record()])
    with made.records_file.open("a") as file:
        file.write("{}\n")
    loaded = results.load(made.path)
    assert [str(d) for d in loaded.damaged] == [f"{made.records_file}:2: not a record: run_id: Field required"]
    assert len(loaded.runs) == 1


def test_csv_cells_are_no_formulas(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "plain"]
    records = [record(model=name, run_id=f"r{i}", recipe="mlp") for i, name in enumerate(names)]
    loaded = results.load(write(tmp_path / "set", records).path)
    rows = list(csv.DictReader(io.StringIO(export.csv(loaded.runs), newline="")))
    assert [row["model"] for row in rows] == [f"'{name}" for name in names[:4]] + ["x", "x", "plain"]
    assert float(rows[0]["test_loss"]) == records[0].test_loss
    assert rows[0]["device_peak_mb"] == ""


def test_files_hold_what_the_tables_hold(demo: results.Results, tmp_path: Path) -> None:
    tables = {"runs": demo.runs, "epochs": demo.epochs, "summary": demo.summary()}
    files = export.write_tables(tmp_path, tables)
    assert sorted(file.name for file in files) == sorted(f"{n}.{s}" for n in tables for s in ("csv", "parquet"))
    for name, table in tables.items():
        again = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert list(again.columns) == list(table.columns)
        for column in table.select_dtypes("number").columns:
            assert again[column].equals(table[column].astype(again[column].dtype)), column
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(table)


def test_importing_results_is_light() -> None:
    """The command line imports it to say --help."""
    code = (
        "import sys, results, results.store; print(*(m for m in ('pandas','scipy','matplotlib') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


@pytest.mark.alone
def test_ten_thousand_records_are_tables_before_json_is_parsed_twice(tmp_path: Path) -> None:
    made = [record(b, m, seed=s, repeat=r, epochs=5) for b in ("torch", "keras") for m in ("mlp", "lenet5")
            for s in range(5) for r in range(5)]  # fmt: skip
    big = write(tmp_path / "set", [])
    for file, lines in (
        (big.records_file, [one.without_samples().replace(one.run_id, "%s") for one in made]),
        (big.samples_file, [one.samples.model_dump_json().replace(one.run_id, "%s") for one in made]),
    ):
        file.write_text(
            "".join(line.replace("%s", f"r{i}-{j}") + "\n" for i in range(100) for j, line in enumerate(lines))
        )
    assert big.records_file.stat().st_size + big.samples_file.stat().st_size > 50e6

    def load() -> None:
        loaded = results.load(big.path)
        assert (len(loaded.runs), len(loaded.epochs)) == (10_000, 50_000)

    costs_at_most(2.0, load, lambda: parse(big))


def test_results_say_what_they_are(demo: results.Results) -> None:
    assert repr(demo) == (
        "<Results of demo: 24 runs (22 ok, 1 crashed, 1 timed_out); .runs, .epochs, .summary(), .damaged>"
    )


def test_the_baseline_may_be_one_of_several_versions(tmp_path: Path) -> None:
    rows = [
        record(repeat=number, framework_version=version, speed=speed, run_id=f"{version}-{number}")
        for number in range(5)
        for version, speed in (("2.13.0+cpu", 1.0), ("2.9.0", 2.0))
    ]
    found = results.load(write(tmp_path / "two", rows).path)
    ratios = {baseline: list(found.summary(baseline)["train_ratio"].round()) for baseline in ("torch", "torch@2.13.0")}
    assert ratios == {"torch": [1.0, 2.0], "torch@2.13.0": [1.0, 2.0]}
    assert found.summary("torch@2.9.0")["train_verdict"].tolist() == ["slower", "baseline"]
    assert [key.version for key in Analysis(found, "torch", Words()).subjects] == ["2.9.0", "2.13.0+cpu"]
    with pytest.raises(RequestError, match="unknown baseline 'torch@2"):
        found.baseline("torch@2.8.0")
