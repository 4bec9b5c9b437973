"""What is remembered of a backend holds for the manner it was judged in."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.registry import Manner
from harness.conformance import standing
from harness.conformance.outcome import BackendReport, CheckOutcome
from harness.conformance.standing import remember, standings
from results.record import Row
from tests.results.records import record

VERSION = "2.13.0"


def report(tuning: Manner, *, passes: bool = True) -> BackendReport:
    outcome = CheckOutcome(
        level="layers",
        check="relu",
        quantity="logits",
        precision="float32",
        status="pass" if passes else "fail",
        error=1e-7 if passes else 1.0,
        limit=1e-5,
    )
    return BackendReport(
        backend="torch", tuning=tuning, framework_version=VERSION, packages={}, outcomes=(outcome,), seconds=1.0
    )


def run(tuning: Manner) -> Row:
    return record("torch", tuning=tuning)


def test_each_manner_that_ran_must_have_been_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remember(report("recommended"))
    found = standings([run("recommended"), run("expert")])  # the expert manner was not judged
    assert set(found) == {f"torch {VERSION} recommended"}
    assert (found[f"torch {VERSION} recommended"].passed, found[f"torch {VERSION} recommended"].failures) == (1, ())
    assert standings([run("expert")]) == {}
    remember(report("expert", passes=False))
    both = standings([run("recommended"), run("expert")])
    assert both[f"torch {VERSION} recommended"].failures == ()
    assert both[f"torch {VERSION} expert"].failures == ("expert: layers: relu (logits, float32)",)


@pytest.mark.parametrize("room", ["specs", "backends", "harness/conformance"])
def test_a_standing_is_forgotten_once_what_it_depends_on_changes(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(standing, "CODE", tmp_path)
    source = tmp_path / room / "one.py"
    source.parent.mkdir(parents=True)
    source.write_text("before")
    remember(report("expert"))
    assert standings([run("expert")])
    source.write_text("after")
    assert standings([run("expert")]) == {}
