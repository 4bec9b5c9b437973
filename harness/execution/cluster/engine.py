"""The engine of many machines: places units, takes what comes of them, places again what a machine took with it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from distributed import Client

from harness.datasets import Dataset
from harness.execution.cluster.admission import Versions
from harness.execution.cluster.members import Member, Members
from harness.execution.cluster.watching import ClusterWatch
from harness.execution.engine import FolderOf
from harness.execution.identity import code_sha256
from harness.execution.orders import (
    Answer,
    Failed,
    Keep,
    Made,
    Order,
    RaceOrder,
    RunOrder,
    Survey,
    Surveyed,
    read_answer,
)
from harness.execution.placement import Job, Placement
from harness.execution.receiving import Unsound, keep_logs, race_of, records_of
from harness.execution.shipping import digest_of, packed
from harness.execution.units import Unit
from harness.planning.plan import RunPlan
from harness.racing.cases import RaceTask, Watcher
from harness.racing.plans import training_of
from harness.running.events import Listener
from results.race import Race
from results.record import Record
from specs.errors import RequestError

LOOK_EVERY_S = 1.0
TICK_S = 0.2
PATIENCE_S = 300.0
"""How long a cluster may be without any machine; after TOLD_S it is told."""
TOLD_S = 5.0


T = TypeVar("T")


class ClusterEngine:
    """See ``harness.execution.engine.Engine``: all records of a unit come together, once it is whole.

    ``estimate`` gives the seconds of a unit, ``home`` the fingerprint of the machine that others of its round
    were made on.
    """

    def __init__(
        self,
        client: Client,
        datasets: Mapping[str, Dataset],
        folder_of: FolderOf,
        watch: ClusterWatch,
        *,
        comparison: str,
        versions: Versions,
        threads: int,
        estimate: Callable[[Unit], float],
        home: Callable[[Unit], str | None],
    ) -> None:
        self._datasets = {digest_of(dataset): dataset for dataset in datasets.values()}
        self._digests = {name: digest_of(dataset) for name, dataset in datasets.items()}
        self._folder_of = folder_of
        self._watch = watch
        self._versions = versions
        self._estimate = estimate
        self._home = home
        topic = f"harness-{uuid.uuid4().hex}"
        self._members = Members(client, topic=topic, comparison=comparison)
        self._survey = Survey(
            subjects=versions.subjects,
            threads=threads,
            code=code_sha256(),
            numpy=np.__version__,
            datasets=tuple(self._datasets),
        )
        self._looked_at = float("-inf")
        self._usable_at = time.monotonic()
        self._told_waiting = False
        self._anybody_yet = False
        self._why_out: dict[str, str] = {}
        client.subscribe_topic(topic, self._told)

    def run(self, units: Sequence[Unit], listen: Listener) -> Generator[Record]:
        """See ``Engine.run``."""
        orders = [RunOrder.of(unit, self._digests) for unit in units]
        jobs = [Job(key=n, seconds=self._estimate(unit), home=self._home(unit)) for n, unit in enumerate(units)]

        def taken(number: int, made: Made) -> list[Record]:
            records = records_of(units[number], made, self._versions, self._training_of)
            keep_logs(made, self._folder_of)
            return records

        names = [unit.name for unit in units]
        for records in self._carry_out(orders, names, jobs, taken):
            yield from records

    def race(self, tasks: Sequence[RaceTask], watch: Watcher) -> Generator[Race]:
        """See ``Engine.race``."""
        orders = [RaceOrder.of(task, self._digests) for task in tasks]
        jobs = [Job(key=number, seconds=task.rules.budget_s) for number, task in enumerate(tasks)]
        names = [f"race: {task.plans[0].architecture.name} on {task.plans[0].dataset}" for task in tasks]

        def taken(number: int, made: Made) -> Race:
            return race_of(tasks[number], made, self._versions, self._training_of)

        yield from self._carry_out(orders, names, jobs, taken)

    def _training_of(self, plan: RunPlan) -> str:
        return training_of(plan, self._datasets[self._digests[plan.dataset]])

    def _carry_out(
        self,
        orders: Sequence[Order],
        names: Sequence[str],
        jobs: Sequence[Job[int]],
        taken: Callable[[int, Made], T],
    ) -> Iterator[T]:
        placement = Placement(jobs)
        for member in self._members.all.values():
            if member.state == "ready":
                placement.joined(member.name, member.fingerprint)
        try:
            while not placement.done:
                self._look(placement, names)
                self._place(placement, orders, names)
                for member, answer in self._members.answered(TICK_S):
                    number = member.unit
                    if number is None:
                        self._admit(member, _read(answer), placement)
                        continue
                    member.unit = None
                    try:
                        outcome = taken(number, _made(_read(answer)))
                    except Unsound as error:
                        self._lose(member, placement, names, str(error))
                        continue
                    if placement.finished(member.name, number):
                        self._watch.free(member.name)
                        yield outcome
        except BaseException:
            self._members.forget_all()
            raise
        for number in placement.given_up:
            self._watch.given_up(names[number])

    def _look(self, placement: Placement[int], names: Sequence[str]) -> None:
        """Take notice of who has come and gone."""
        now = time.monotonic()
        if now < self._looked_at + LOOK_EVERY_S:
            return
        self._looked_at = now
        come, gone = self._members.look()
        for member in gone:
            if member.state != "out":
                self._lose(member, placement, names, "it has gone")
        for member in come:
            self._members.ask(member, self._survey, "survey")
        if any(member.state != "out" for member in self._members.all.values()):
            self._usable_at, self._told_waiting = now, False
        elif now > self._usable_at + PATIENCE_S or (self._members.all and not self._anybody_yet):
            raise RequestError(self._nobody())
        elif now > self._usable_at + TOLD_S and not self._told_waiting:
            self._told_waiting = True
            self._watch.waiting(PATIENCE_S)

    def _nobody(self) -> str:
        if not self._why_out:
            return f"no machine has joined the cluster for {PATIENCE_S:.0f} s: start one with cluster worker"
        reasons = "; ".join(f"{name}: {why}" for name, why in self._why_out.items())
        return f"no machine of the cluster can take part: {reasons}"

    def _admit(self, member: Member, answer: Answer | Failed, placement: Placement[int]) -> None:
        """What a machine said of itself, or that it has what it was sent."""
        problem = None
        match answer:
            case Surveyed():
                member.fingerprint, member.told, member.lacking = answer.fingerprint, answer.told, [*answer.lacking]
                problem = answer.problem or self._versions.disagreement(answer.versions)
            case Failed():
                problem = answer.reason
            case Made():
                problem = "it answers what it was not asked"
        if placement.worn_out(member.name):
            problem = "it disappeared too often"
        if problem is not None:
            self._leave_out(member, problem)
        elif member.lacking:
            digest = member.lacking.pop()
            dataset = self._datasets.get(digest)
            if dataset is None:
                self._leave_out(member, "it wants a data set that nobody mentioned")
            else:
                self._members.ask(member, Keep(dataset=digest), f"data set {dataset.name}", packed(dataset))
        else:
            member.state = "ready"
            self._anybody_yet = True
            placement.joined(member.name, member.fingerprint)
            self._watch.joined(member.name, member.told)

    def _leave_out(self, member: Member, why: str) -> None:
        member.state = "out"
        self._why_out[member.name] = why
        self._watch.left_out(member.name, why)

    def _place(self, placement: Placement[int], orders: Sequence[Order], names: Sequence[str]) -> None:
        for member in self._members.all.values():
            if member.state == "ready" and member.unit is None and (number := placement.next(member.name)) is not None:
                member.unit = number
                self._watch.placed(member.name, names[number])
                self._members.ask(member, orders[number], names[number])

    def _lose(self, member: Member, placement: Placement[int], names: Sequence[str], why: str) -> None:
        """A machine went, or gave no sound answer: then it has another try unless it did so too often."""
        number = placement.lost(member.name)
        self._watch.lost(member.name, None if number is None else names[number], why)
        if placement.worn_out(member.name):
            self._leave_out(member, f"failed too often, last: {why}")
        elif member.identity in self._members.all:
            placement.joined(member.name, member.fingerprint)

    def _told(self, event: tuple[float, Mapping[str, str]]) -> None:
        said = event[1]
        self._watch.told(str(said["machine"]), str(said["doing"]), str(said["note"]))


def _read(answer: object) -> Answer | Failed:
    if isinstance(answer, Exception):
        return Failed(reason=" ".join(f"{type(answer).__name__}: {answer}".split())[:300])
    try:
        return read_answer(answer)
    except (ValueError, RequestError) as error:
        return Failed(reason=f"its answer makes no sense: {error}"[:300])


def _made(answer: Answer | Failed) -> Made:
    if isinstance(answer, Failed):
        raise Unsound(answer.reason)
    if not isinstance(answer, Made):
        raise Unsound("it answers what it was not asked")
    return answer
