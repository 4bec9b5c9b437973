"""Which cases of a set are raced again."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from harness.datasets import load_dataset
from harness.execution.engine import Engine
from harness.execution.races import race_set
from harness.planning.study import Study, plans_of
from harness.racing.cases import RaceTask, Watcher
from harness.racing.plans import training_of
from results.race import Race, Racer
from results.store import ResultSet
from tests.results.records import VERSIONS, record

STUDY = Study(name="x", backends=("numpy", "torch"), models=("mlp",), datasets=("digits",), repeats=1, threads=1)


class Asked:
    """An engine that holds no race and remembers what it was to hold."""

    tasks: Sequence[RaceTask] = ()

    def race(self, tasks: Sequence[RaceTask], watch: Watcher) -> Generator[Race]:
        self.tasks = tasks
        yield from ()


@pytest.mark.parametrize(("target", "again"), [(5.0, 0), (50.0, 0), (0.2, 1)])
def test_a_case_is_raced_again_until_it_is_as_precise_as_is_asked_now(
    target: float, again: int, tmp_path: Path
) -> None:
    """A set may be continued with another --precision-target than it was begun with."""
    study = replace(STUDY, precision_target=target)
    plans = plans_of(study)
    training = training_of(plans[0][1], load_dataset("digits", None))
    results = ResultSet.create(tmp_path / "set", name="set", study={})
    generator = random.Random(0)
    racers = []
    for backend, rate in (("numpy", 1000.0), ("torch", 2000.0)):
        made = record(backend, "mlp", dataset="digits")
        fingerprints = made.fingerprints.model_copy(update={"training": training})
        results.append(made.model_copy(update={"fingerprints": fingerprints}))
        rates = tuple(rate * generator.gauss(1, 0.01) for _ in range(30))
        racers.append(Racer(backend=backend, framework_version=VERSIONS[backend], manner="recommended", rates=rates))
    race = Race(
        started_at="2026-01-01T00:00:00Z", model="mlp", dataset="digits", training=training, device="cpu",
        precision="float32", threads=1, baseline=1, turn_s=0.3, share=0.1, target=0.05, budget_s=60, seconds=50,
        ended="precision", openings=(0, 10, 20), racers=tuple(racers),
    )  # fmt: skip
    assert race.precise
    results.save_race(race)
    engine = Asked()
    race_set(study, plans, results, cast(Watcher, None), cast(Engine, engine))
    assert len(engine.tasks) == again
