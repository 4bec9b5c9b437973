"""PyTorch against Keras, quiet and beside another process that is busy half of the time: the same ratio."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.datasets import load_dataset
from harness.planning.study import Study, plans_of
from harness.racing.plans import run_race
from harness.racing.race import Rules
from results.race import Race
from results.race_words import sentences
from results.words import Words

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


def raced() -> Race:
    study = Study(name="race", backends=("torch", "keras"), models=("lenet5",), datasets=("digits",), repeats=1)
    plans = [plan for _, plan in plans_of(study)]
    rules = Rules(target=0.03, budget_s=150)
    return run_race(plans, load_dataset("digits", None), rules, lambda race: None, baseline="torch")


@pytest.mark.alone
@pytest.mark.skipif("HARNESS_REAL_RACES" not in os.environ, reason="two real races take minutes: make test-full")
def test_bursts_of_other_work_cost_time_and_not_truth(backend_python: Callable[[str], Path]) -> None:
    for name in ("torch", "keras"):
        backend_python(name)
    quiet = raced()
    assert all(racer.error is None for racer in quiet.racers)
    if not quiet.ranked:
        pytest.skip(" ".join(sentences(quiet, Words(), lambda racer: racer.backend)))
    with bursts():
        disturbed = raced()
    assert sum(racer.disturbed for racer in disturbed.racers) > sum(racer.disturbed for racer in quiet.racers)
    found = [race.ratio(race.racers[1]).estimate for race in (quiet, disturbed)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1].median == pytest.approx(found[0].median, rel=0.05)
