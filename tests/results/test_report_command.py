"""``python -m harness report``: what it prints where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.results.records import record, study, write

ROOT = Path(__file__).parents[2]


def command(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "harness", "report", *map(str, arguments)]
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def test_the_table_and_the_path_on_stdout(tmp_path: Path) -> None:
    made = write(tmp_path / "results" / "runs" / "demo", study(rounds=2))
    done = command("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("results/runs/demo/report.html")
    assert "mlp on mnist" in done.stdout
    assert "trains fastest" in done.stdout
    assert "\x1b" not in done.stdout
    assert (made.path / "report.html").is_file()


def test_json_and_csv_are_all_there_is_on_stdout(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record(b, repeat=r) for r in range(3) for b in ("torch", "keras")])
    said = json.loads(command(made.path, "--json").stdout)
    assert said["report"] == str(made.path / "report.html")
    torch, keras = said["summary"]
    assert (torch["backend"], keras["backend"], keras["train_verdict"]) == ("torch", "keras", "slower")
    assert torch["device_peak_mb"] is None, "absent is null"
    fastest = next(one for one in said["findings"] if one["finding"] == "fastest")
    assert (fastest["level"], fastest["case"], fastest["subject"]) == ("speed", "mlp on mnist", "torch")
    assert "torch trains fastest" in fastest["sentence"]
    rows = list(csv.DictReader(io.StringIO(command(made.path, "--csv").stdout)))
    assert [(row["backend"], row["noisy"], row["seeds"]) for row in rows] == [("torch", "0", "1"), ("keras", "0", "1")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"schema": 99, "run_id": "later"}'], "records.jsonl:1: written under schema 99"),
        ([record().to_json(), '{"schema": 99, "run_id": "later"}'], "records.jsonl:2: written under schema 99"),
        (["not a record", "{}"], "of 2 lines none is a record"),
    ],
)
def test_records_that_cannot_be_read_are_refused_and_nothing_is_overwritten(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    made = write(tmp_path / "set", [record()])
    (made.path / "report.html").write_text("the report of another time")
    made.records_file.write_text("".join(line + "\n" for line in lines))
    done = command(made.path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert (made.path / "report.html").read_text() == "the report of another time"
    assert not (made.path / "tables").exists()


def test_wrong_requests_are_one_line_and_status_2(tmp_path: Path) -> None:
    made = write(tmp_path / "set", [record()])
    for arguments, said in (
        ([tmp_path / "nothing"], "is not a result set"),
        ([made.path, "--baseline", "toch"], "did you mean 'torch'?"),
        ([made.path, "--lang", "klingon"], "unknown language 'klingon'"),
        ([], "sets"),
        ([made.path, "--json", "--csv"], "--json and --csv were both given"),
    ):
        done = command(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr
        assert done.stdout == ""
