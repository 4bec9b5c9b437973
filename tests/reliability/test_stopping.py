"""Stopping a sweep from outside, with real signals to a real process, and two processes on one output folder."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.running.interrupts import shielded
from results.store import ResultSet

ROOT = Path(__file__).parents[2]
CHOICES = (
    "--models mlp --datasets digits --epochs 1 --batch-size 20 --limit-train 200 --limit-test 50 "
    "--no-race --no-proof --quiet"
)


class Parent:
    """The harness in a process of its own, in ``folder``; ended with its workers when the test ends."""

    def __init__(self, folder: Path, words: str, **behaviour: Any) -> None:
        command = [sys.executable, "-m", "tests.reliability.cli_with_fakes", json.dumps(behaviour), *shlex.split(words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen = psutil.Process(self.process.pid)

    def workers(self) -> list[psutil.Process]:
        """Its children that are workers; not those that have ended and were not waited for yet."""
        found = []
        for child in self.seen.children():
            with suppress(psutil.NoSuchProcess):  # a zombie is one
                if "harness.worker" in child.cmdline():
                    found.append(child)
        return found

    def wait_for_hang(self, hung: Path) -> psutil.Process:
        """Wait until its worker says that it hangs."""
        wait_for(hung.exists)
        return self.workers()[0]

    def end(self) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Parent]]:
    """``start(words, **behaviour)``: a Parent in the test's folder."""
    parents: list[Parent] = []

    def begin(words: str, **behaviour: Any) -> Parent:
        parents.append(Parent(tmp_path, words, **behaviour))
        return parents[-1]

    yield begin
    for parent in parents:
        parent.process.kill()
        parent.process.communicate()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C does here what it does in a terminal, whatever the tests were started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def hang(folder: Path) -> dict[str, Any]:
    return {"train": "hang_aloud", "hung": str(folder / "hung")}


def stopped_by(number: signal.Signals, folder: Path, start: Callable[..., Parent]) -> tuple[ResultSet, str]:
    """A sweep of a good run and one that hangs, stopped in the second: its set, and what it said."""
    parent = start(f"compare --backends numpy,fake --repeats 1 --name mine {CHOICES}", **hang(folder))
    worker = parent.wait_for_hang(folder / "hung")
    parent.process.send_signal(number)
    status, out, err = parent.end()
    assert status == 130
    assert out == ""
    assert "Traceback" not in err
    assert "finished runs are safe in results/runs/mine. Continue with:" in err
    wait_for(lambda: gone(worker))
    results = ResultSet.open(folder / "results" / "runs" / "mine")
    assert [row.backend for row in results.rows()[0]] == ["numpy"]
    return results, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_request_to_end_goes_the_way_of_ctrl_c(
    number: signal.Signals, tmp_path: Path, start: Callable[..., Parent]
) -> None:
    stopped_by(number, tmp_path, start)


def test_ctrl_c_ends_the_worker_and_says_how_to_resume(tmp_path: Path, start: Callable[..., Parent]) -> None:
    results, err = stopped_by(signal.SIGINT, tmp_path, start)
    before = results.records_file.read_bytes()
    resume = err.strip().splitlines()[-1].strip().removeprefix("python -m harness ")
    status, _, err = start(resume + " --quiet").end()
    assert status == 0, err
    assert results.records_file.read_bytes().startswith(before)
    assert [(row.backend, row.status) for row in results.rows()[0]] == [("numpy", "ok"), ("fake", "ok")]


def test_twice_stops_now(tmp_path: Path, start: Callable[..., Parent]) -> None:
    parent = start(f"compare --backends numpy,fake --repeats 1 --name mine {CHOICES}", **hang(tmp_path))
    worker = parent.wait_for_hang(tmp_path / "hung")
    begin = time.monotonic()
    for _ in range(2):
        parent.process.send_signal(signal.SIGINT)
    status, _, _ = parent.end()
    assert status in (130, -signal.SIGINT)
    assert time.monotonic() - begin < 30
    wait_for(lambda: gone(worker))
    assert len(ResultSet.open(tmp_path / "results" / "runs" / "mine").rows()[0]) == 1


@pytest.mark.parametrize("proof", ["--proof", "--no-proof"], ids=["in its proof", "in training"])
def test_a_single_run_that_is_stopped_has_its_record(proof: str, tmp_path: Path, start: Callable[..., Parent]) -> None:
    words = "run --backend fake --model mlp --dataset digits --batch-size 20 --limit-train 200 --json --quiet"
    parent = start(f"{words} {proof}", **hang(tmp_path))
    parent.wait_for_hang(tmp_path / "hung")
    parent.process.send_signal(signal.SIGINT)
    status, out, err = parent.end()
    assert status == 130, err
    assert json.loads(out)["status"] == "interrupted"
    (row,) = ResultSet.open(tmp_path / "results" / "runs").rows()[0]
    assert row.error is not None
    assert row.error.advice is not None
    assert row.error.advice.startswith("Run it again: python -m harness run --backend fake")


def test_one_set_has_one_sweep_at_a_time_and_a_dead_one_does_not_count(
    tmp_path: Path, start: Callable[..., Parent]
) -> None:
    words = f"compare --backends fake --repeats 1 --name mine {CHOICES}"
    first = start(words, **hang(tmp_path))
    worker = first.wait_for_hang(tmp_path / "hung")
    status, _, err = start(words).end()
    assert status == 2
    assert "already holds a result set: continue it with --resume" in err
    status, _, err = start(f"{words} --resume").end()
    assert (status, len(err.splitlines())) == (2, 1)
    assert "is in use by another harness process" in err
    first.process.kill()
    wait_for(lambda: gone(worker))
    status, _, err = start(f"{words} --resume").end()
    assert status == 0, err
    (row,) = ResultSet.open(tmp_path / "results" / "runs" / "mine").rows()[0]
    assert row.status == "ok"


def test_two_single_runs_at_once_share_a_set_and_a_cache(tmp_path: Path, start: Callable[..., Parent]) -> None:
    words = "run --backend fake --model mlp --dataset digits --batch-size 20 --limit-train 200 --epochs 1 --quiet"
    words += " --no-proof"  # who fakes what it computes fails in it
    parents = [start(words) for _ in range(2)]
    assert [parent.end()[0] for parent in parents] == [0, 0]
    rows, damaged = ResultSet.open(tmp_path / "results" / "runs").rows()
    assert [row.status for row in rows] == ["ok", "ok"]
    assert damaged == []
    prepared = [p for p in (tmp_path / "cache").glob("*/prepared/*") if not p.name.endswith(".lock")]
    assert len(prepared) == 1


def test_an_interrupt_waits_for_the_record_and_a_second_does_not(ctrl_c: None) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with shielded():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("written")
        steps.append("not reached")
    with pytest.raises(KeyboardInterrupt), shielded():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("not written")
    assert steps == ["written"]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
