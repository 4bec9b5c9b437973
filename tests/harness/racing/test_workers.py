"""Races of real worker processes with a fake framework whose speed is known."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

from harness.processes.launcher import WorkerProcess
from harness.racing import workers
from harness.racing.cases import cases
from harness.racing.plans import RaceInterrupted, baseline_of, run_race
from harness.racing.race import Rules
from harness.worker.job import TrainingJob
from results.race import Race
from results.store import ResultSet
from tests.fakes import FAKE, RIVAL, registered, rival
from tests.harness.plans import dataset, plan
from tests.reliability.test_stopping import Parent, gone, wait_for

EVERY_TURN = Rules(target=0.5, budget_s=5, turn_s=0.05, share=1.0)
"""What else the machine does is none of these tests' concern: every turn counts."""


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "harness.worker" in " ".join(child.cmdline())]


def test_one_is_at_work_and_the_others_are_stopped() -> None:
    seen: list[tuple[int, set[str], frozenset[int]]] = []

    def look(race: Race) -> None:
        found = children()
        seen.append((race.rounds, {child.status() for child in found}, frozenset(child.pid for child in found)))

    with registered(step_s=0.005), rival(step_s=0.015):
        race = run_race([plan(FAKE), plan(RIVAL)], dataset(), EVERY_TURN, look, baseline="fake")
    assert race.ended in ("precision", "budget")
    # Between two turns nobody is at work; between two openings nobody is there, and then there are others.
    assert all(statuses <= {psutil.STATUS_STOPPED} for _, statuses, _ in seen)
    assert [rounds for rounds, statuses, _ in seen if not statuses] == list(race.openings)
    opened = {pids for _, _, pids in seen if pids}
    assert len(opened) == len(race.openings) >= 3
    assert len(frozenset.union(*opened)) == 2 * len(opened)
    assert children() == []
    size = race.ratio(race.racers[1]).estimate
    assert size is not None
    assert 0.2 < size.median < 0.7
    assert [racer.framework_version for racer in race.racers] == ["1.0", "1.0"]
    assert race.training


@pytest.mark.parametrize("fault", ["segfault", "raise", "sigkill"])
def test_one_that_fails_is_named(fault: str) -> None:
    endless = replace(EVERY_TURN, target=1e-6, budget_s=300)  # an opening lasts until it fails
    with registered(step_s=0.001), rival(step_s=0.001, train=fault, after_steps=1200):  # warm-up takes a second
        plans = [plan(FAKE, epochs=500), plan(RIVAL, epochs=500)]
        race = run_race(plans, dataset(), endless, lambda race: None, baseline="fake")
    assert race.ended == "failed"
    assert race.racers[1].error
    assert race.racers[0].error is None
    assert children() == []


def test_one_that_cannot_open_is_left_out() -> None:
    with registered(step_s=0.002), rival(open="unsupported"):
        race = run_race([plan(FAKE), plan(RIVAL)], dataset(), EVERY_TURN, lambda race: None, baseline="fake")
    assert race.ended == "failed"
    assert race.ranked == ()
    assert "asked to be unsupported" in str(race.racers[1].error)


def test_those_known_to_fit_are_opened_side_by_side_and_one_that_fails_is_left_out() -> None:
    both, compiled = threading.Barrier(2, timeout=60), workers._compiled

    def meet(process: WorkerProcess, job: TrainingJob) -> str:
        both.wait()
        return compiled(process, job)

    with (
        registered(step_s=0.002),
        rival(open="unsupported"),
        patch.object(workers, "_compiled", meet),
        patch.object(workers, "available_cpus", lambda: 2),
    ):
        plans, needs = [plan(FAKE), plan(RIVAL)], {0: 100.0, 1: 100.0}
        race = run_race(plans, dataset(), EVERY_TURN, lambda race: None, baseline="fake", needs_mb=needs)
    assert race.racers[0].framework_version == "1.0"
    assert "asked to be unsupported" in str(race.racers[1].error)
    assert children() == []


def test_interrupted_while_it_opens_it_leaves_no_worker_behind() -> None:
    def interrupt() -> None:
        wait_for(lambda: len(children()) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    with registered(load="hang"), rival(load="hang"):
        plans, needs = [plan(FAKE), plan(RIVAL)], {0: 100.0, 1: 100.0}
        interrupter.start()
        with pytest.raises(RaceInterrupted):
            run_race(plans, dataset(), EVERY_TURN, lambda race: None, baseline="fake", needs_mb=needs)
    interrupter.join()
    assert children() == []


def test_what_does_not_fit_the_memory_races_in_groups() -> None:
    with registered(step_s=0.002), rival(step_s=0.004), patch.object(workers, "available_mb", lambda: 0.0):
        plans = [plan(FAKE), plan(RIVAL), plan(RIVAL, tuning="default")]
        most: list[int] = []
        rules = replace(EVERY_TURN, budget_s=8)
        race = run_race(plans, dataset(), rules, lambda race: most.append(len(children())), baseline="fake")
    assert set(most) == {0, 2}
    assert len(race.ranked) == 3
    assert race.racers[0].quiet >= race.racers[1].quiet + race.racers[2].quiet


def test_the_baseline_is_a_backends_recommended_manner() -> None:
    with registered(), rival():
        plans = [plan(RIVAL), plan(FAKE, tuning="default"), plan(FAKE)]
    assert baseline_of(plans, "fake") == 2
    assert baseline_of(plans[:2], "fake") == 1
    assert baseline_of(plans, "torch") == 0


def test_a_case_is_of_one_seed_and_round() -> None:
    with registered(), rival():
        plans = [plan(b, seed=s, round=r) for r in (0, 1) for s in (3, 1) for b in (FAKE, RIVAL)]
    assert cases(plans) == [plans[:2]]
    assert cases(plans[:1]) == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Parent]]:
    parents: list[Parent] = []

    def begin(words: str, **behaviour: Any) -> Parent:
        parents.append(Parent(tmp_path, words, **behaviour))
        return parents[-1]

    yield begin
    for parent in parents:
        parent.process.kill()
        parent.process.communicate()


PROVED_RACE = (
    "race --backends numpy,fake --baseline numpy --models mlp --datasets digits --batch-size 20 --limit-train 200"
)
RACE = f"{PROVED_RACE} --no-proof"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_stopped_or_killed_it_leaves_no_worker_behind(number: signal.Signals, start: Callable[..., Parent]) -> None:
    parent = start(f"{RACE} --precision-target 0.1% --quiet", step_s=0.001)

    def both() -> list[psutil.Process]:
        found = parent.workers()
        stopped = [worker for worker in found if worker.status() == psutil.STATUS_STOPPED]
        return found if len(found) == 2 and stopped else []

    found = wait_for(both)
    parent.process.send_signal(number)
    status, out, err = parent.end()
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 130), err
    assert out == ""
    for worker in found:
        wait_for(lambda worker=worker: gone(worker))


def test_its_outcome_is_given_as_data(start: Callable[..., Parent]) -> None:
    status, out, err = start(f"{RACE} --budget 2 --json --quiet", step_s=0.001).end()
    [race] = json.loads(out)
    assert status == (0 if any(one["low"] for one in race["ratios"]) else 1), err
    assert [racer["backend"] for racer in race["racers"]] == ["numpy", "fake"]
    assert race["ended"] in ("precision", "budget")


def test_who_does_not_compute_the_same_takes_no_part(start: Callable[..., Parent]) -> None:
    status, out, err = start(f"{PROVED_RACE} --budget 2 --quiet", step_s=0.001).end()
    assert status == 1, err
    assert "- numpy: sameness proved: 10 steps, worst" in out
    assert "- fake: sameness NOT the same as NumPy float64: " in out
    assert "The race gives no verdict." in out
    assert "fake went out: does not compute the same: " in out


def test_a_race_of_one_is_refused(start: Callable[..., Parent]) -> None:
    status, _, err = start("race --backends numpy --models mlp --datasets digits").end()
    assert status == 2
    assert "a race takes two at the least" in err
    status, _, err = start(f"{RACE} --budget 0").end()
    assert (status, "budget must be from 1" in err) == (2, True)
    status, _, err = start(RACE.replace("--baseline numpy", "--baseline torch")).end()
    assert (status, "--baseline" in err and "'torch'" in err) == (2, True), err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("five", "Invalid value for '--precision-target': must be per cent, 5 or 5% say, got 'five'"),
        ("0.05", "precision_target must be from 0.1 to 50 per cent (5 or 5%), got 0.05"),
        ("80%", "precision_target must be from 0.1 to 50 per cent (5 or 5%), got 80"),
    ],
)
def test_a_target_that_is_none_is_refused(given: str, said: str, start: Callable[..., Parent]) -> None:
    status, out, err = start(f"{RACE} --precision-target {given}").end()
    assert (status, out, err.strip()) == (2, "", f"error: {said}")


def test_an_interrupted_race_is_kept_as_far_as_it_got(tmp_path: Path, start: Callable[..., Parent]) -> None:
    words = "compare --backends numpy,fake --baseline numpy --models mlp --datasets digits --epochs 1 --repeats 1 "
    words += "--batch-size 20 --limit-train 200 --limit-test 50 --no-proof --name mine --precision-target 0.1% --quiet"
    parent = start(words, step_s=0.001)

    def stopped() -> bool:
        with suppress(psutil.Error):  # one ends while it is looked at
            return any(worker.status() == psutil.STATUS_STOPPED for worker in parent.workers())
        return False

    wait_for(stopped)
    time.sleep(3)
    parent.process.send_signal(signal.SIGINT)
    status, _, err = parent.end()
    assert status == 130, err
    assert "--precision-target 0.1" in err
    [race] = ResultSet.open(tmp_path / "results" / "runs" / "mine").races()[0]
    assert race.ended == "interrupted"
    assert race.rounds > 0


@pytest.mark.long
def test_a_comparison_keeps_its_races_and_races_again_what_is_not_precise(
    tmp_path: Path, start: Callable[..., Parent]
) -> None:
    words = "compare --backends numpy,fake --baseline numpy --models mlp --datasets digits --epochs 1 --repeats 1 "
    words += "--batch-size 20 --limit-train 200 --limit-test 50 --no-proof --name mine "
    words += "--budget 2 --precision-target 0.1% --quiet"
    status, _, err = start(words, step_s=0.001).end()
    assert status == 0, err
    results = ResultSet.open(tmp_path / "results" / "runs" / "mine")
    [race], damaged = results.races()
    assert damaged == []
    assert race.ended == "budget"
    assert race.training == results.rows()[0][0].fingerprints.training
    status, _, err = start(f"{words} --resume", step_s=0.001).end()
    assert status == 0, err
    assert len(results.races()[0]) == 2
    (results.path / "races" / "0001.json").write_text("{}")
    races, damaged = results.races()
    assert len(races) == 1
    assert "not a race" in str(damaged[0])
