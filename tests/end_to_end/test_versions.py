"""Versions of one framework side by side: each is set up, run, raced and reported as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.store import ResultSet
from results.tables import Results
from specs.program import CODE
from tests.end_to_end.versioned import write_wheels

Done = subprocess.CompletedProcess[str]
COMPARE = (
    "compare --models mlp --datasets digits --epochs 1 --batch-size 20 --limit-train 100 --limit-test 20 --repeats 2 "
    "--budget 1 --quiet --no-proof --name two --backends"
)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Done]:
    """``harness(words, *more)`` runs the command line where the framework's pin is 2.0.0 and three are set up."""
    place = tmp_path_factory.mktemp("versions")
    pins = place / "pins"
    pins.mkdir()
    write_wheels(pins, "0.9.0", "1.1.0", "2.0.0")
    (pins / "many.txt").write_text(f"--no-index\n--find-links {pins}\nmany_framework==2.0.0\n")
    variables = os.environ | {"PYTHONPATH": str(CODE), "HARNESS_ENVS": str(place / "envs")}
    variables["XDG_CACHE_HOME"] = str(place / "cache")

    def run(words: str, *more: str) -> Done:
        command = [sys.executable, "-m", "tests.end_to_end.cli_with_versions", str(pins), *words.split(), *more]
        return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, check=False)

    made = run("setup many many@1.1 many@0.9.0")
    assert made.returncode == 0, made.stderr
    return run


def test_two_versions_are_two_subjects(harness: Callable[..., Done]) -> None:
    done = harness(COMPARE, "many@1.1,many")
    assert done.returncode == 0, done.stderr
    place = Path(str(done.args[3])).parent / "results" / "runs" / "two"
    made = ResultSet.open(place)
    rows, _ = made.rows()
    assert [(row.run_id, row.backend, row.framework_version) for row in rows[:2]] == [
        ("many-mlp-digits-s0-r0", "many", "2.0.0"),
        ("many-1.1.0-mlp-digits-s0-r0", "many", "1.1.0"),
    ]
    assert "--backend many@1.1.0 " in (rows[1].command or "")
    summary = Results.load([place]).summary()
    assert list(summary["version"]) == ["2.0.0", "1.1.0"]
    assert summary["train_verdict"][0] == "baseline"
    [race] = made.races()[0]
    assert {racer.framework_version for racer in race.racers} == {"2.0.0", "1.1.0"}
    assert "many (1.1.0)" in done.stdout
    again = harness(COMPARE, "many@1.1,many", "--resume")
    assert again.returncode == 0, again.stderr
    assert len(made.rows()[0]) == 4, "what has its record was run again"
    other = harness(COMPARE, "many@0.9.0,many,many@1.1.0", "--resume", "--no-race")
    assert other.returncode == 0, other.stderr
    news = made.rows()[0][4:]
    assert [(row.framework_version, row.status) for row in news] == [("0.9.0", "unsupported")] * 2
    assert news[0].error is not None
    assert "the adapter does not suit Many 0.9.0: module 'many_framework' has no attribute" in news[0].error.message


@pytest.mark.long
def test_the_baseline_may_be_a_version(harness: Callable[..., Done]) -> None:
    done = harness(COMPARE.replace("--name two", "--name base"), "many@1.1,many", "--baseline", "many@1.1")
    assert done.returncode == 0, done.stderr
    place = Path(str(done.args[3])).parent / "results" / "runs" / "base"
    results = Results.load([place])
    assert results.baseline() == "many@1.1.0"
    summary = results.summary(results.baseline())
    assert dict(zip(summary["version"], summary["train_ratio"] == 1.0, strict=True))["1.1.0"]
    [race] = results.sets[0].races()[0]
    assert race.racers[race.baseline].framework_version == "1.1.0"


def test_doctor_knows_the_versions_that_were_set_up(harness: Callable[..., Done]) -> None:
    assert harness("doctor many@1.1.0").returncode == 0
    [found] = json.loads(harness("doctor many@1.1.0 --json").stdout)
    assert "many-framework==1.1.0" in [package.replace("_", "-") for package in found["installed"]]
    assert found["variant"] == "cpu"
    said = harness("doctor many@7.0.0")
    assert said.returncode == 1
    assert "setup many@7.0.0" in " ".join(said.stdout.split())


def test_what_is_asked_twice_or_is_another_version_is_refused(harness: Callable[..., Done]) -> None:
    [found] = json.loads(harness("doctor many --json").stdout)
    done = harness("run --model mlp --dataset digits --no-proof --backend many@1.1 --python", found["interpreter"])
    assert done.returncode == 2
    assert "many@1.1.0 was asked for, and the interpreter has Many 2.0.0" in done.stderr
    twice = harness(COMPARE.replace("--name two", "--name twice"), "many,many@2.0.0")
    assert twice.returncode == 2
    assert "many and many@2.0.0 are the same here" in twice.stderr
