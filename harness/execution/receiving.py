"""What a machine sent, held against what it was asked: a stranger's words until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pydantic import ValidationError

from harness.execution.engine import FolderOf
from harness.execution.orders import Made
from harness.execution.units import Unit
from harness.planning.plan import RunPlan
from harness.racing.cases import RaceTask
from harness.racing.plans import baseline_of
from results.files import explained
from results.race import Race
from results.record import Record, utf8
from results.store import SAFE


class Unsound(Exception):
    """It is not what was asked for; the message says why."""


class Accepts(Protocol):
    """Knows which version of each framework a set is of."""

    def accepts(self, subject: str, version: str | None) -> bool:
        """Whether a record of this version may stand in the set."""


TrainingOf = Callable[[RunPlan], str]
"""The fingerprint of what a plan trains: see ``harness.racing.plans.training_of``."""


def records_of(unit: Unit, made: Made, versions: Accepts, training_of: TrainingOf) -> list[Record]:
    """The records of a unit, one of each run at the least and each of what was asked. Raises Unsound.

    The command in each is the driver's own: it knows which files of the user's the run came from.
    """
    try:
        records = [Record.from_json(line) for line in made.records]
    except ValidationError as error:
        raise Unsound(f"a record that is none: {error.errors()[0]['msg']}") from None
    plans = dict(unit.runs)
    first = [record.run_id for record in records if record.attempt == 1]
    if first != list(plans):
        raise Unsound("it has not sent one record of each run")
    found = []
    for record in records:
        run_id = record.run_id if record.attempt == 1 else record.run_id.removesuffix(f"-a{record.attempt}")
        plan = plans.get(run_id)
        if plan is None or record.attempt > unit.retry_noisy + 1 or not _of(record, plan, training_of(plan)):
            raise Unsound(f"the record {record.run_id} is of another run than was asked for")
        if not versions.accepts(plan.backend.subject, record.framework_version):
            raise Unsound(f"{record.run_id} was made with {plan.backend.title} {record.framework_version}")
        found.append(record.model_copy(update={"command": utf8(plan.command(record.fingerprints.training))}))
    if strays := made.logs.keys() - {record.run_id for record in found}:
        raise Unsound(f"a log of another run than was asked for: {min(strays)[:80]!r}")
    return found


def _of(record: Record, plan: RunPlan, training: str) -> bool:
    theirs = (record.backend, record.model, record.dataset, record.seed, record.round, record.device, record.precision)
    ours = (
        *(plan.backend.name, plan.architecture.name, utf8(plan.dataset)),
        *(plan.seed, plan.round, plan.device, plan.precision),
    )
    unprepared = record.status != "ok" and record.fingerprints.training is None  # it failed before that was known
    trained = unprepared or record.fingerprints.training == training
    return trained and theirs == ours and (record.threads, record.tuning.manner) == (plan.threads, plan.tuning)


def race_of(task: RaceTask, made: Made, versions: Accepts, training_of: TrainingOf) -> Race:
    """The race that was asked for. Raises Unsound."""
    try:
        race = Race.model_validate_json(made.race or "")
    except ValidationError as error:
        raise Unsound(f"a race that is none: {error.errors()[0]['msg']}") from None
    if [(one.backend, one.manner) for one in race.racers] != [(plan.backend.name, plan.tuning) for plan in task.plans]:
        raise Unsound("the race is of others than was asked for")
    first = task.plans[0]
    theirs = (race.model, race.dataset, race.training, race.device, race.precision, race.threads, race.baseline)
    ours = (
        *(first.architecture.name, utf8(first.dataset), training_of(first)),
        *(first.device, first.precision, first.threads, baseline_of(task.plans, task.baseline)),
    )
    if theirs != ours:
        raise Unsound("the race is of another training, or under other conditions, than was asked for")
    for racer, plan in zip(race.racers, task.plans, strict=True):
        if not versions.accepts(plan.backend.subject, racer.framework_version or None):
            raise Unsound(f"the race was held with {plan.backend.title} {racer.framework_version}")
    return race


def keep_logs(made: Made, folder_of: FolderOf) -> None:
    """Put the logs of runs that ``records_of`` took where they would be, had these been carried out here.

    Raises StoreError.
    """
    for run_id, text in made.logs.items():
        file = folder_of(run_id) / "worker.log"
        with explained("write", file, safe=SAFE):
            file.write_text(text, errors="replace")
