"""Running a sweep: one run after another, each ending in a record, resumable at any point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.datasets import Dataset, load_dataset
from harness.planning.finished import Planned, remaining
from harness.planning.plan import RunPlan
from harness.planning.study import Study
from harness.planning.trainable import check_plan
from harness.processes.environments import find_python
from harness.running.events import Begun, Listener, Trouble
from harness.running.interrupts import shielded
from harness.running.keeping import complete_last, keep
from harness.running.run import execute, refused_record
from results.files import StoreError
from results.record import Record
from results.store import ResultSet
from specs.errors import RequestError


class Interrupted(Exception):
    """The user stopped the sweep; every finished run is recorded."""


class Sweep:
    """The runs of a study in a result set. Made after everything that the user could have got wrong is checked."""

    def __init__(self, study: Study, plans: list[Planned], results: ResultSet) -> None:
        self.study = study
        self.results = results
        self.plans = plans
        self._datasets = {name: load_dataset(name, study.data_dir) for name in study.datasets}

    @staticmethod
    def check(plans: Iterable[Planned]) -> list[str]:
        """What to tell of the data sets.

        Raises RequestError unless every backend has an interpreter of its own and every model suits its dataset.
        """
        datasets: dict[str, Dataset] = {}
        subjects: dict[tuple[str, Path], str] = {}
        notes: list[str] = []
        for _, plan in plans:
            python = find_python(plan.backend.subject, plan.python)
            other = subjects.setdefault((plan.backend.name, python), plan.backend.subject)
            if other != plan.backend.subject:
                raise RequestError(f"{other} and {plan.backend.subject} are the same here ({python}): name one of them")
            if plan.dataset not in datasets:
                datasets[plan.dataset] = load_dataset(plan.dataset, plan.data_dir)
            notes += check_plan(plan, datasets[plan.dataset])
        return list(dict.fromkeys(notes))

    def remaining(self) -> list[Planned]:
        """The runs that have no record yet, in order: see ``harness.planning.finished``."""
        return remaining(self.plans, self.results.rows()[0], self._datasets.__getitem__)

    def run(self, listen: Listener, finished: Callable[[Record], None]) -> None:
        """Carry out what remains, appending a record as each run ends.

        Raises Interrupted on Ctrl-C, StoreError where the storage refuses; the records of finished runs are safe.
        """
        try:
            self._run(listen, finished)
        except KeyboardInterrupt:
            raise Interrupted from None

    def _run(self, listen: Listener, finished: Callable[[Record], None]) -> None:
        _tell(complete_last(self.results, self._datasets), listen)
        for run_id, plan in self.remaining():
            record = self._attempt(run_id, plan, 1, listen)
            for attempt in range(2, self.study.retry_noisy + 2):
                if not record.noise.noisy:
                    break
                finished(record)
                record = self._attempt(f"{run_id}-a{attempt}", plan, attempt, listen)
            finished(record)

    def _attempt(self, run_id: str, plan: RunPlan, attempt: int, listen: Listener) -> Record:
        listen(Begun(run_id=run_id, plan=plan))
        dataset = self._datasets[plan.dataset]
        folder = self.results.run_folder(run_id)
        try:
            record = execute(plan, dataset, folder, run_id, listen, keep=_ignore)
        except StoreError:
            raise
        except RequestError as refusal:  # a device that is not there, an interpreter that vanished: this run's alone
            record = refused_record(plan, run_id, refusal)
        if record.status == "interrupted":
            raise Interrupted
        record = record.model_copy(update={"attempt": attempt})
        with shielded():
            _tell(keep(self.results, record, dataset), listen)
        return record


def _ignore(record: Record) -> None:
    """An interrupted run of a sweep has no record: it is run again."""


def _tell(troubles: Iterable[str], listen: Listener) -> None:
    for trouble in troubles:
        listen(Trouble(text=trouble))
