"""The engine of one machine, this one: one run after another, one race after another."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from harness.execution.engine import DatasetOf, FolderOf, Interrupted
from harness.execution.units import Unit
from harness.planning.plan import RunPlan
from harness.racing.cases import RaceTask, Watcher
from harness.racing.plans import run_race
from harness.running.events import Begun, Listener
from harness.running.run import execute, refused_record
from results.files import StoreError
from results.race import Race
from results.record import Record
from specs.errors import RequestError


class LocalEngine:
    """See ``harness.execution.engine.Engine``."""

    def __init__(self, dataset_of: DatasetOf, folder_of: FolderOf) -> None:
        self._dataset_of = dataset_of
        self._folder_of = folder_of

    def run(self, units: Sequence[Unit], listen: Listener) -> Generator[Record]:
        """See ``Engine.run``: every record as soon as its run has ended."""
        for unit in units:
            for run_id, plan in unit.runs:
                yield from self._attempts(run_id, plan, unit.retry_noisy, listen)

    def race(self, tasks: Sequence[RaceTask], watch: Watcher) -> Generator[Race]:
        """See ``Engine.race``."""
        for task in tasks:
            watch.begun(task.plans)
            yield run_race(
                task.plans,
                self._dataset_of(task.plans[0].dataset),
                task.rules,
                watch.standing,
                baseline=task.baseline,
                needs_mb=task.needs_mb,
            )

    def _attempts(self, run_id: str, plan: RunPlan, retry_noisy: int, listen: Listener) -> Iterator[Record]:
        for attempt in range(1, retry_noisy + 2):
            record = self._attempt(run_id if attempt == 1 else f"{run_id}-a{attempt}", plan, listen)
            yield record.model_copy(update={"attempt": attempt})
            if not record.noise.noisy:
                return

    def _attempt(self, run_id: str, plan: RunPlan, listen: Listener) -> Record:
        listen(Begun(run_id=run_id, plan=plan))
        dataset = self._dataset_of(plan.dataset)
        folder = self._folder_of(run_id)
        try:
            record = execute(plan, dataset, folder, run_id, listen, keep=_ignore)
        except StoreError:
            raise
        except RequestError as refusal:  # a device that is not there, an interpreter that vanished: this run's alone
            record = refused_record(plan, run_id, refusal)
        if record.status == "interrupted":
            raise Interrupted
        return record


def _ignore(record: Record) -> None:
    """An interrupted run of a comparison has no record: it is run again."""
