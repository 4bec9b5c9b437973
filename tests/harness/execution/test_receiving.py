"""What a machine sends is held against what it was asked: nothing of a stranger's choosing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

from harness.execution.orders import Made
from harness.execution.receiving import Unsound, race_of, records_of
from harness.execution.units import Unit, units_of
from harness.planning.plan import RunPlan
from harness.racing import plans as racing
from harness.racing.cases import RaceTask
from harness.racing.race import Rules
from results.race import Race
from tests.fakes import FAKE, RIVAL
from tests.harness.execution.clusters import comparison, ignore, rounds
from tests.harness.plans import dataset, plan


class Anything:
    """A set that every version may stand in."""

    def accepts(self, subject: str, version: str | None) -> bool:
        return True


class Nothing:
    """A set that is of other versions than any that is sent."""

    def accepts(self, subject: str, version: str | None) -> bool:
        return version is None


def training_of(plan: RunPlan) -> str:
    return racing.training_of(plan, dataset(20))


@pytest.fixture
def made(tmp_path: Path) -> tuple[Unit, Made]:
    """A unit and what a machine would send of it."""
    with comparison(tmp_path / "set", rounds(1)) as sweep:
        (unit,) = units_of(sweep.plans)
        records = [record.to_json() for record in sweep.local().run([unit], ignore)]
    return unit, Made(records=tuple(records), logs={name: "said" for name, _ in unit.runs})


def test_what_was_asked_for_is_taken(made: tuple[Unit, Made]) -> None:
    unit, sent = made
    assert [record.run_id for record in records_of(unit, sent, Anything(), training_of)] == [
        name for name, _ in unit.runs
    ]


@pytest.mark.parametrize("name", ["../../../elsewhere", "/tmp/elsewhere", "rival-r7"])
def test_a_log_goes_nowhere_but_to_a_run_that_was_asked_for(made: tuple[Unit, Made], name: str) -> None:
    unit, sent = made
    with pytest.raises(Unsound, match="a log of another run"):
        records_of(unit, replace(sent, logs={**sent.logs, name: "said"}), Anything(), training_of)


def test_a_record_that_is_missing_or_of_another_run_is_refused(made: tuple[Unit, Made]) -> None:
    unit, sent = made
    with pytest.raises(Unsound, match="one record of each run"):
        records_of(unit, replace(sent, records=sent.records[:1]), Anything(), training_of)
    swapped = tuple(text.replace('"fake-r0"', '"rival-r0"') for text in sent.records)
    with pytest.raises(Unsound):
        records_of(unit, replace(sent, records=swapped), Anything(), training_of)


def test_a_record_of_another_model_or_training_is_refused(made: tuple[Unit, Made]) -> None:
    """One edited on the way, or made of other data than was sent; a failed one may not have come so far as to know."""
    unit, sent = made
    for wrong in (
        [text.replace('"model":"tiny"', '"model":"huge"') for text in sent.records],
        [text.replace(f'"training":"{training_of(unit.runs[0][1])}"', '"training":null') for text in sent.records],
    ):
        assert wrong != list(sent.records)
        with pytest.raises(Unsound, match="is of another run"):
            records_of(unit, replace(sent, records=tuple(wrong)), Anything(), training_of)
    with pytest.raises(Unsound, match="is of another run"):
        records_of(unit, sent, Anything(), lambda plan: "another")
    failed = [
        text.replace('"status":"ok"', '"status":"crashed"').replace(training_of(unit.runs[0][1]), "another")
        for text in sent.records
    ]
    with pytest.raises(Unsound, match="is of another run"):
        records_of(unit, replace(sent, records=tuple(failed)), Anything(), training_of)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[RaceTask, Race]:
    """A race that was asked for, and it as a machine would send it before its first round."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    task = RaceTask(plans=(plan(FAKE), plan(RIVAL)), rules=Rules(), baseline="rival")
    start = racing.before_the_start(task.plans, dataset(20), task.rules, baseline="rival", out={})
    return task, start


def test_a_race_under_other_conditions_or_of_other_versions_is_refused(held: tuple[RaceTask, Race]) -> None:
    task, race = held

    def sent(**changes: object) -> Made:
        return Made(race=race.model_copy(update=changes).to_json())

    assert race_of(task, sent(), Anything(), training_of) == race
    for changes in (
        *({"training": "another"}, {"device": "cuda:0"}, {"precision": "float64"}, {"threads": race.threads + 1}),
        *({"model": "huge"}, {"dataset": "other"}, {"baseline": 0}),
    ):
        with pytest.raises(Unsound, match="of another training, or under other conditions"):
            race_of(task, sent(**changes), Anything(), training_of)
    with pytest.raises(Unsound, match="of others"):
        race_of(task, sent(racers=race.racers[::-1]), Anything(), training_of)
    versed = tuple(racer.model_copy(update={"framework_version": "1.0"}) for racer in race.racers)
    race_of(task, sent(), Nothing(), training_of)
    with pytest.raises(Unsound, match=r"held with Fake 1\.0"):
        race_of(task, sent(racers=versed), Nothing(), training_of)
