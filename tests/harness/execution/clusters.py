"""Small clusters on this machine, with the fake backends, and a driver to have units carried out there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from backends.registry import Registration
from harness.datasets import Dataset
from harness.execution import sweep as sweep_module
from harness.execution.cluster.admission import Versions
from harness.execution.cluster.connecting import cluster_of
from harness.execution.cluster.engine import ClusterEngine
from harness.execution.sweep import Sweep
from harness.planning.finished import Planned
from harness.planning.study import Study
from results.store import ResultSet
from tests.fakes import FAKE, RIVAL, VARIABLE, RivalBackend, registered, rival
from tests.harness.plans import dataset, plan

PRELOADED = "tests.harness.execution.preloaded"


def machine(behaviour: Mapping[str, Any] | None = None, **variables: str) -> dict[str, Any]:
    """A worker whose fake backends behave so; ``variables`` are of its environment."""
    said = json.dumps(dict(behaviour or {}))
    return {"preload": PRELOADED, "env": {VARIABLE: said, RivalBackend.variable: said, **variables}}


@dataclass
class Watch:
    """Hears what the cluster does, and remembers it."""

    joined_: list[str] = field(default_factory=list)
    out: dict[str, str] = field(default_factory=dict)
    losses: list[tuple[str, str | None, str]] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    on_note: Callable[[str, str, str], None] = lambda machine, doing, note: None

    def joined(self, machine: str, told: str) -> None:
        self.joined_.append(machine)

    def left_out(self, machine: str, why: str) -> None:
        self.out[machine] = why

    def lost(self, machine: str, unit: str | None, why: str) -> None:
        self.losses.append((machine, unit, why))

    def waiting(self, seconds: float) -> None:
        """Not remembered."""

    def placed(self, machine: str, unit: str) -> None:
        self.on_note(machine, unit, "placed")

    def told(self, machine: str, doing: str, note: str) -> None:
        self.notes.append((machine, doing, note))
        self.on_note(machine, doing, note)

    def free(self, machine: str) -> None:
        """Not remembered."""

    def given_up(self, unit: str) -> None:
        self.abandoned.append(unit)


@contextmanager
def small_cluster(*workers: Mapping[str, Any]) -> Iterator[Any]:
    """A client of a cluster of these."""
    from distributed import Client

    with cluster_of(workers) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def rounds(count: int, backends: Sequence[Registration] = (FAKE, RIVAL)) -> list[Planned]:
    """So many rounds of a case, each a pair of runs."""
    return [
        (f"{backend.name}-r{number}", plan(backend, epochs=1, round=number))
        for number in range(count)
        for backend in backends
    ]


@contextmanager
def comparison(folder: Path, planned: list[Planned], data: Dataset | None = None) -> Iterator[Sweep]:
    """A comparison of the fake backends in the result set ``folder``, made or continued."""
    content = data or dataset(20)
    with registered(), rival(), patch.object(sweep_module, "load_dataset", lambda name, data_dir: content):
        study = Study(name="tiny", backends=("fake", "rival"), datasets=("tiny",))
        if (folder / "set.json").exists():
            results = ResultSet.open(folder)
        else:
            results = ResultSet.create(folder, name="tiny", study=study.to_dict())
        yield Sweep(study, planned, results)


def engine_of(client: Any, sweep: Sweep, watch: Watch, *, versions: str | None = None) -> ClusterEngine:
    """The engine that carries it out on a cluster; ``versions`` is what earlier records of every framework say."""
    backends = list(dict.fromkeys(plan.backend for _, plan in sweep.plans))
    known = Versions(backends, sweep.results.rows()[0])
    if versions is not None:
        known._builds.update({backend.subject: versions for backend in backends})
    return ClusterEngine(
        client,
        sweep.datasets,
        sweep.results.run_folder,
        watch,
        comparison="tiny",
        versions=known,
        threads=1,
        estimate=lambda unit: 1.0,
        home=lambda unit: None,
    )


def ignore(event: object) -> None:
    """Hear nothing."""


def trainers(below: int | None = None) -> list[psutil.Process]:
    """Workers of frameworks that processes below this one, or below the one named, have started."""
    found = []
    for process in psutil.Process(below).children(recursive=True):
        with_words = _words(process)
        if "harness.worker" in with_words:
            found.append(process)
    return found


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
