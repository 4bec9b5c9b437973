"""The runs of a study in a result set: what remains of them, and their records kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from harness.datasets import Dataset, load_dataset
from harness.execution.engine import Engine, Interrupted
from harness.execution.local import LocalEngine
from harness.execution.units import units_of
from harness.planning.finished import Planned, remaining
from harness.planning.study import Study
from harness.planning.trainable import check_plan
from harness.processes.environments import distinct_python
from harness.running.events import Listener, Trouble
from harness.running.interrupts import shielded
from harness.running.keeping import complete_last, keep
from results.record import Record, utf8
from results.store import ResultSet


class Sweep:
    """The runs of a study in a result set. Made after everything that the user could have got wrong is checked."""

    def __init__(self, study: Study, plans: list[Planned], results: ResultSet) -> None:
        self.study = study
        self.results = results
        self.plans = plans
        self.datasets = {name: load_dataset(name, study.data_dir) for name in study.datasets}

    @staticmethod
    def check(plans: Iterable[Planned], *, elsewhere: bool = False) -> list[str]:
        """What to tell of the data sets.

        Raises RequestError unless every model suits its dataset and every backend has an interpreter of its own, here
        unless they run ``elsewhere``.
        """
        datasets: dict[str, Dataset] = {}
        subjects: dict[tuple[str, Path], str] = {}
        notes: list[str] = []
        for _, plan in plans:
            if not elsewhere:
                distinct_python(plan.backend.subject, subjects, plan.python)
            if plan.dataset not in datasets:
                datasets[plan.dataset] = load_dataset(plan.dataset, plan.data_dir)
            notes += check_plan(plan, datasets[plan.dataset])
        return list(dict.fromkeys(notes))

    def local(self) -> LocalEngine:
        """The engine that runs it on this machine."""
        return LocalEngine(self.datasets.__getitem__, self.results.run_folder)

    def remaining(self) -> list[Planned]:
        """The runs that have no record yet, in order: see ``harness.planning.finished``."""
        return remaining(self.plans, self.results.rows()[0], self.datasets.__getitem__)

    def run(self, listen: Listener, finished: Callable[[Record], None], *, engine: Engine | None = None) -> None:
        """Have what remains carried out, here unless an engine is named, appending each record as it comes.

        Raises Interrupted on Ctrl-C, StoreError where the storage refuses; the records of finished runs are safe.
        """
        recorded = {utf8(name): dataset for name, dataset in self.datasets.items()}  # as records have the names
        try:
            _tell(complete_last(self.results, self.datasets), listen)
            units = units_of(self.remaining(), retry_noisy=self.study.retry_noisy)
            with closing((engine or self.local()).run(units, listen)) as records:
                for record in records:
                    with shielded():
                        _tell(keep(self.results, record, recorded[record.dataset]), listen)
                    finished(record)
        except KeyboardInterrupt:
            raise Interrupted from None


def _tell(troubles: Iterable[str], listen: Listener) -> None:
    for trouble in troubles:
        listen(Trouble(text=trouble))
