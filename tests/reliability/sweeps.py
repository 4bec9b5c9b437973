"""A fast sweep of fake runs, each with a behaviour of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.execution import sweep as sweep_module
from harness.execution.sweep import Sweep
from harness.planning.study import Study
from harness.running.events import Begun, RunEvent
from results.record import Record
from results.store import ResultSet
from tests.fakes import VARIABLE, registered
from tests.harness.plans import dataset, plan


@dataclass(frozen=True)
class FakeRun:
    """A run of the fake backend: its behaviour in the worker and the choices of its plan."""

    name: str
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def fake_sweep(folder: Path, runs: list[FakeRun], *, epochs: int = 1) -> Iterator[tuple[Sweep, Callable[..., None]]]:
    """The sweep in the result set ``folder``, made or continued, and the listener that hands out the behaviours.

    The folder is part of each behaviour, so that processes left behind can be told by their variables.
    """
    behaviours = {run.name: json.dumps({**run.behaviour, "folder": str(folder)}) for run in runs}

    def listen(event: RunEvent) -> None:
        if isinstance(event, Begun):
            os.environ[VARIABLE] = behaviours[event.run_id]

    with (
        registered() as fake,
        patch.object(sweep_module, "load_dataset", lambda name, data_dir: dataset(20)),
    ):
        study = Study(name="tiny", datasets=("tiny",))
        plans = [(run.name, plan(fake, epochs=epochs, round=n, **run.choices)) for n, run in enumerate(runs)]
        if (folder / "set.json").exists():
            results = ResultSet.open(folder)
        else:
            results = ResultSet.create(folder, name="tiny", study=study.to_dict())
        yield Sweep(study, plans, results), listen


def carry_out(folder: Path, runs: list[FakeRun]) -> list[Record]:
    """Run what remains of the sweep; its records."""
    with fake_sweep(folder, runs) as (sweep, listen):
        sweep.run(listen, lambda record: None)
        records, damaged = sweep.results.records()
    assert damaged == []
    return records
