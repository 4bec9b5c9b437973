"""Hundreds of units of a worker that answers at once, beside the engine of one machine."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

from tests.fakes import FAKE
from tests.harness.execution.clusters import Watch, comparison, engine_of, ignore, machine, rounds, small_cluster
from tests.reliability.canned import canned_worker

UNITS = int(os.environ.get("HARNESS_CLUSTER_UNITS", "50"))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    python = str(canned_worker(tmp_path / "canned"))
    monkeypatch.setenv("HARNESS_PYTHON_FAKE", python)
    with small_cluster(*[machine(XDG_CACHE_HOME=str(tmp_path / "cache"), HARNESS_PYTHON_FAKE=python)] * 2) as found:
        yield found


MOST_S = 0.5
"""What a unit may take of a machine beyond what it takes by the local engine."""


class Joining(Watch):
    """Knows when the first machine was ready."""

    at = float("inf")

    def joined(self, machine: str, told: str) -> None:
        self.at = min(self.at, time.monotonic())


@pytest.mark.alone
def test_hundreds_of_units(client: Any, tmp_path: Path) -> None:
    watch = Joining()
    with comparison(tmp_path / "there", rounds(UNITS, [FAKE])) as sweep:
        sweep.run(ignore, ignore, engine=engine_of(client, sweep, watch))
        there = time.monotonic() - watch.at
        rows, damaged = sweep.results.rows()
    assert damaged == []
    assert Counter(row.run_id for row in rows) == Counter(name for name, _ in sweep.plans)
    with comparison(tmp_path / "here", rounds(UNITS, [FAKE])) as sweep:
        begin = time.monotonic()
        sweep.run(ignore, ignore)
        here = time.monotonic() - begin
    overhead = (2 * there - here) / UNITS  # two machines have half of the units each
    print(f"{UNITS} units: {there:.1f} s on two machines, {here:.1f} s here: {overhead:.2f} s more a unit")
    assert overhead < MOST_S
