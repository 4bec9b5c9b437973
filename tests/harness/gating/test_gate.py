"""Whole gates on fake frameworks whose speed and memory are known, in real workers."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import psutil
import pytest
import typer

from harness.cli import app
from harness.gating import trial
from harness.gating.rules import rules_of
from harness.racing.race import Rules
from results.store import ResultSet
from specs.errors import RequestError
from tests.fakes import registered, rival
from tests.reliability.test_stopping import Parent, gone, wait_for

MODEL = "name: small\nlayers: [conv2d: {out_channels: 2, kernel_size: 3}, flatten, linear: {out_features: classes}]\n"
TIMES = {"conv2d_1": (0.001, 0.0015), "linear_1": (0.0005, 0.00075)}
SLOWER = {**TIMES, "conv2d_1": (0.004, 0.006)}
Gate = Callable[..., tuple[int, dict[str, Any]]]


def every_turn(budget_s: float, limit: float) -> Rules:
    """What else the machine does is none of these tests' concern."""
    return replace(rules_of(budget_s, limit), share=1.0, turn_s=0.05)


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Gate]:
    """``gate("fake rival --max-slowdown 50%")``: status and what --json prints, of a small network."""
    model = tmp_path / "small.yaml"
    model.write_text(MODEL)

    def run(words: str) -> tuple[int, dict[str, Any]]:
        command = typer.main.get_command(app)
        given = ["gate", *words.split(), "--models", str(model), "--out", str(tmp_path / "sets"), "--json", "--quiet"]
        given += [
            "--epochs",
            "1",
            "--limit-train",
            "128",
            "--limit-test",
            "50",
            "--threads",
            "1",
            "--budget",
            "2",
            "--batch-size",
            "16",
        ]
        status = command.main(given, standalone_mode=False)
        return status, json.loads(capsys.readouterr().out)

    with patch.object(trial, "rules_of", every_turn):
        yield run


def statuses(document: dict[str, Any]) -> dict[str, str]:
    (case,) = document["cases"]
    return {check["figure"]: check["status"] for check in case["checks"]}


@pytest.mark.alone
def test_a_slower_layer_is_found_and_named_in_every_form(gate: Gate, tmp_path: Path) -> None:
    files = {name: tmp_path / "forms" / name for name in ("junit", "markdown", "benchmark")}
    asked = " ".join(f"--{name} {file}" for name, file in files.items())
    with registered(layer_s=TIMES), rival(layer_s=SLOWER):
        status, document = gate(f"fake rival --no-proof --name mine --max-slowdown 20% {asked}")
    assert (status, document["verdict"]) == (1, "regression")
    assert statuses(document) == {
        "runs": "passed",
        "sameness": "not judged",
        "accuracy": "passed",
        "peak memory": "passed",
        "training time": "regression",
    }
    (case,) = document["cases"]
    assert "conv2d_1 takes " in case["layers"]["said"]
    assert 100 < case["checks"][-1]["value"] < 300  # 11.25 ms in place of 3.75
    assert (document["base"]["versions"], document["candidate"]["versions"]) == (["1.0"], ["1.0"])
    (suite,) = ElementTree.parse(files["junit"]).getroot()
    assert suite.get("failures") == "1"
    assert "conv2d\\_1" in files["markdown"].read_text()
    assert len(json.loads(files["benchmark"].read_text())) == 3
    kept = ResultSet.open(tmp_path / "sets" / "mine")
    assert len(kept.rows()[0]) == 6
    assert len(kept.races()[0]) == 1
    assert str(kept.manifest.command).startswith("python -m harness gate --")


@pytest.mark.alone
def test_the_same_against_itself_passes(gate: Gate) -> None:
    with registered(layer_s=TIMES):
        status, document = gate("fake fake --no-proof --max-slowdown 40%")
    assert (status, set(statuses(document).values())) == (0, {"passed", "not judged"})
    assert document["cases"][0]["layers"] is None


@pytest.mark.alone
@pytest.mark.long  # how memory and proofs are judged, tests/results/gate/test_checks.py has without a worker
def test_more_memory_is_a_regression_and_what_fails_its_proof_on_both_sides_is_undecided(gate: Gate) -> None:
    with registered(step_s=0.002), rival(step_s=0.002, train_mb=200):
        status, document = gate("fake rival --max-slowdown 100%")
    assert status == 1
    assert statuses(document)["peak memory"] == "regression"
    assert statuses(document)["sameness"] == "undecided"


@pytest.mark.parametrize(("words", "expected", "side"), [("fake rival", 1, "candidate"), ("rival fake", 3, "base")])
def test_who_does_not_train_is_not_raced(gate: Gate, words: str, expected: int, side: str) -> None:
    with registered(), rival(train="raise"):
        status, document = gate(f"{words} --no-proof")
    assert status == expected
    assert list(statuses(document)) == ["runs", "sameness"]
    assert document["cases"][0]["checks"][0]["reason"].startswith(f"{side}, seed 0: failed: ")


def test_against_a_set_only_accuracy_and_sameness_are_judged_and_nothing_is_raced(gate: Gate, tmp_path: Path) -> None:
    with registered(), rival(step_s=0.001):
        gate("fake fake --no-proof --max-slowdown 40% --name before")
        status, document = gate("fake rival --no-proof --against before --name after")
        with pytest.raises(
            RequestError, match=r"no run of rival that trained .* it has fake:recommended small on digits"
        ):
            gate("rival fake --no-proof --against before")
    assert status == 0
    assert statuses(document) == {
        "runs": "passed",
        "sameness": "not judged",
        "accuracy": "passed",
        "peak memory": "not judged",
        "training time": "not judged",
    }
    assert "neither time nor memory" in document["conditions"]
    assert document["against"] == str(tmp_path / "sets" / "before")
    after = ResultSet.open(tmp_path / "sets" / "after")
    assert len(after.rows()[0]) == 3
    assert after.races()[0] == []


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with registered():
        with pytest.raises(RequestError, match="is a folder"):
            gate(f"fake fake --junit {tmp_path}")
        with pytest.raises(RequestError, match="is named for two forms"):
            gate(f"fake fake --junit {tmp_path}/one --markdown {tmp_path}/one")
        with pytest.raises(RequestError, match="cannot write"):
            gate(f"fake fake --markdown {tmp_path}/file/summary.md")
    assert not (tmp_path / "sets").exists()


def test_interrupted_in_its_race_it_keeps_what_there_is_and_leaves_no_worker(tmp_path: Path) -> None:
    words = (
        "gate fake fake --models mlp --epochs 1 --batch-size 20 --limit-train 200 --limit-test 50 --no-proof --name x"
    )
    parent = Parent(tmp_path, f"{words} --quiet", step_s=0.001)

    def stopped() -> list[psutil.Process]:
        with suppress(psutil.Error):  # one ends while it is looked at
            return [one for one in parent.workers() if one.status() == psutil.STATUS_STOPPED]
        return []

    try:
        found = wait_for(stopped)
        parent.process.send_signal(signal.SIGINT)
        status, out, err = parent.end()
    finally:
        parent.process.kill()
        parent.process.communicate()
    assert (status, out) == (130, ""), err
    assert "interrupted; finished runs are in results/runs/x" in err
    assert len(ResultSet.open(tmp_path / "results" / "runs" / "x").rows()[0]) == 6
    for worker in found:
        wait_for(lambda worker=worker: gone(worker))
