"""Races of real frameworks: beside bursts of other work, beside a permanent load, and what a stopped rival costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.datasets import load_dataset
from harness.planning.plan import RunPlan
from harness.planning.study import Study, plans_of
from harness.racing.plans import arrays, run_race
from harness.racing.race import TURN_S, Rules
from harness.racing.workers import opened
from results.race import Race
from results.race_words import sentences
from results.words import Words

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif("HARNESS_REAL_RACES" not in os.environ, reason="real races take minutes: make test-full"),
]
ALL = ("torch", "keras", "paddle", "mindspore", "jax")

BURSTS = """
import random, time
generator = random.Random(0)
while True:
    for busy in (True, False):
        end = time.monotonic() + generator.uniform(1, 10)
        while time.monotonic() < end:
            busy or time.sleep(0.1)
"""


@contextmanager
def bursts() -> Any:
    """One processor busy for 1 to 10 s, idle for as long."""
    process = subprocess.Popen([sys.executable, "-c", BURSTS])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def plans(*backends: str) -> list[RunPlan]:
    study = Study(name="race", backends=backends, models=("lenet5",), datasets=("digits",), repeats=1)
    return [plan for _, plan in plans_of(study)]


def raced(rules: Rules, *backends: str) -> Race:
    return run_race(plans(*backends), load_dataset("digits", None), rules, lambda race: None, baseline="torch")


def test_bursts_of_other_work_cost_time_and_not_truth(backend_python: Callable[[str], Path]) -> None:
    rules, names = Rules(target=0.03, budget_s=150), ("torch", "keras")
    for name in names:
        backend_python(name)
    quiet = raced(rules, *names)
    assert all(racer.error is None for racer in quiet.racers)
    if not quiet.ranked:
        said = " ".join(sentences(quiet, Words(), lambda racer: racer.backend))
        assert any(racer.disturbed for racer in quiet.racers), said
        pytest.skip(said)
    with bursts():
        disturbed = raced(rules, *names)
    assert sum(racer.disturbed for racer in disturbed.racers) > sum(racer.disturbed for racer in quiet.racers)
    found = [race.ratio(race.racers[1]).estimate for race in (quiet, disturbed)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1].median == pytest.approx(found[0].median, rel=0.05)


def test_all_backends_end_within_the_budget_or_near_enough(backend_python: Callable[[str], Path]) -> None:
    """How near they come is printed: docs/measuring.md promises no more than what it says of their openings."""
    for name in ALL:
        backend_python(name)
    race = raced(Rules(), *ALL)
    assert all(racer.error is None for racer in race.racers)
    assert (race.ended == "precision") == race.precise
    assert race.seconds < 75  # what was begun when the budget was spent is finished
    assert len(race.openings) >= 3
    print(*sentences(race, Words(), lambda racer: racer.backend), sep="\n")


def test_beside_a_permanent_load_nobody_is_ranked_and_the_load_is_named(
    tmp_path: Path, backend_python: Callable[[str], Path]
) -> None:
    backend_python("torch")
    load = tmp_path / "spinning"  # the kernel names a script's process by its file
    load.write_text("#!/bin/sh\nwhile :; do :; done\n")
    load.chmod(0o755)
    words = "race --backends torch,numpy --models mlp --datasets digits --budget 10 --no-proof --quiet"
    spinning = [subprocess.Popen([load]) for _ in range(2)]
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "harness", *words.split()], check=False, capture_output=True, text=True
        )
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    assert ended.returncode == 1, ended.stderr
    assert "The race gives no verdict." in ended.stdout
    assert "turns none was quiet: " in ended.stdout
    assert "The busiest others meanwhile: " in ended.stdout
    assert "spinning" in ended.stdout


@pytest.mark.parametrize("name", ["keras", "paddle", "mindspore", "jax"])
def test_a_stopped_rival_takes_no_processor(name: str, backend_python: Callable[[str], Path]) -> None:
    backend_python(name)
    [plan] = plans(name)
    before = set(psutil.Process().children())
    with arrays(plan, load_dataset("digits", None)) as (data, inputs), opened(plan, data, inputs) as worker:
        [process] = set(psutil.Process().children()) - before
        for _ in range(2):  # warmed up, and after a turn
            used = process.cpu_times()
            time.sleep(2)
            assert process.cpu_times() == used
            worker.turn(TURN_S)
            assert process.cpu_times() != used
