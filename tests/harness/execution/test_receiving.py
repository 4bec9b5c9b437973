"""What a machine sends is held against what it was asked: nothing of a stranger's choosing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

from harness.execution.orders import Made
from harness.execution.receiving import Unsound, records_of
from harness.execution.units import Unit, units_of
from tests.harness.execution.clusters import comparison, ignore, rounds


class Anything:
    """A set that every version may stand in."""

    def accepts(self, subject: str, version: str | None) -> bool:
        return True


@pytest.fixture
def made(tmp_path: Path) -> tuple[Unit, Made]:
    """A unit and what a machine would send of it."""
    with comparison(tmp_path / "set", rounds(1)) as sweep:
        (unit,) = units_of(sweep.plans)
        records = [record.to_json() for record in sweep.local().run([unit], ignore)]
    return unit, Made(records=tuple(records), logs={name: "said" for name, _ in unit.runs})


def test_what_was_asked_for_is_taken(made: tuple[Unit, Made]) -> None:
    unit, sent = made
    assert [record.run_id for record in records_of(unit, sent, Anything())] == [name for name, _ in unit.runs]


@pytest.mark.parametrize("name", ["../../../elsewhere", "/tmp/elsewhere", "rival-r7"])
def test_a_log_goes_nowhere_but_to_a_run_that_was_asked_for(made: tuple[Unit, Made], name: str) -> None:
    unit, sent = made
    with pytest.raises(Unsound, match="a log of another run"):
        records_of(unit, replace(sent, logs={**sent.logs, name: "said"}), Anything())


def test_a_record_that_is_missing_or_of_another_run_is_refused(made: tuple[Unit, Made]) -> None:
    unit, sent = made
    with pytest.raises(Unsound, match="one record of each run"):
        records_of(unit, replace(sent, records=sent.records[:1]), Anything())
    swapped = tuple(text.replace('"fake-r0"', '"rival-r0"') for text in sent.records)
    with pytest.raises(Unsound):
        records_of(unit, replace(sent, records=swapped), Anything())
