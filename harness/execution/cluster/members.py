"""The machines of a cluster as a driver has them: who is there, what each was asked last, who may take part."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from distributed import Client, Future

from harness.execution.cluster.looking import workers_of
from harness.execution.cluster.tasks import RESOURCE, perform, request_bytes
from harness.execution.orders import Order, order_bytes
from specs.errors import RequestError

FETCH_S = 5.0
"""How long an answer that is there is waited for at one time."""
UNREACHABLE_S = 60.0
"""How long in all, while its machine is still there."""

_GONE = "the cluster's scheduler is gone; finished units are safe: continue with --resume when it is back"


@dataclass(eq=False)
class Member:
    """One machine. ``identity`` is that of its worker process: one that was started anew is another member."""

    name: str
    address: str
    identity: str
    state: Literal["asked", "ready", "out"] = "asked"
    fingerprint: str = ""
    told: str = ""
    lacking: list[str] = field(default_factory=list)
    future: Future | None = None
    unit: int | None = None
    unfetched_s: float = 0.0


class Members:
    """Who is there. Orders go out by ``ask`` and come back by ``answered``."""

    def __init__(self, client: Client, *, topic: str, comparison: str) -> None:
        self.all: dict[str, Member] = {}
        self._client = client
        self._topic = topic
        self._comparison = comparison
        self._done: queue.Queue[tuple[Member, Future | Exception]] = queue.Queue()
        self._asked = 0

    def look(self) -> tuple[list[Member], list[Member]]:
        """Who has come and who has gone since. Raises RequestError where the scheduler itself is gone."""
        there = {f"{address} {worker['id']}": (address, worker) for address, worker in self._workers().items()}
        gone = [self.all.pop(identity) for identity in [*self.all] if identity not in there]
        for member in gone:
            self.forget(member)
        come = [
            Member(str(worker["name"]), address, identity)
            for identity, (address, worker) in there.items()
            if identity not in self.all
        ]
        self.all.update({member.identity: member for member in come})
        return come, gone

    def _workers(self) -> dict[str, dict[str, Any]]:
        try:
            found = workers_of(self._client)
        except OSError:
            raise RequestError(_GONE) from None
        self._check_scheduler()
        return found

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise RequestError(_GONE)

    def ask(self, member: Member, order: Order, unit: str, blob: bytes | None = None) -> None:
        """Give a machine an order; it carries it out when it is free. ``blob`` comes with it."""
        self._asked += 1
        member.unfetched_s = 0.0
        request = request_bytes(order_bytes(order), topic=self._topic, comparison=self._comparison, unit=unit)
        try:
            data = () if blob is None else (self._client.scatter(blob, workers=[member.address], hash=False),)
        except Exception as error:  # it went meanwhile, or cannot hold so much
            self._done.put((member, error))
            return
        member.future = self._client.submit(
            perform,
            request,
            *data,
            key=f"{self._topic}-{self._asked}",
            workers=[member.address],
            allow_other_workers=False,
            resources={RESOURCE: 1},
            retries=0,
            pure=False,
        )
        member.future.add_done_callback(self._called(member))

    def _called(self, member: Member) -> Callable[[Future], None]:
        return lambda future: self._done.put((member, future))

    def answered(self, wait_s: float) -> Iterator[tuple[Member, Any]]:
        """Answers that have come, waiting so long for the first: bytes, or the exception that came in their place."""
        while True:
            try:
                member, done = self._done.get(timeout=wait_s)
            except queue.Empty:
                return
            wait_s = 0.0
            if member.identity not in self.all or (isinstance(done, Future) and member.future is not done):
                continue  # of one that is gone, or cancelled
            answer: Any
            try:
                answer = done.result(timeout=FETCH_S) if isinstance(done, Future) else done
            except TimeoutError:  # the machine went with its answer, which ``look`` will tell; or the network is slow
                member.unfetched_s += FETCH_S
                if member.unfetched_s < UNREACHABLE_S:
                    self._done.put((member, done))
                    return
                answer = TimeoutError(
                    f"its answer cannot be fetched: the scheduler does not reach it at {member.address} (a firewall?)"
                )
            except Exception as error:  # whatever Dask met
                self._check_scheduler()
                answer = error
            self.forget(member)
            yield member, answer

    def forget(self, member: Member) -> None:
        """Have what a machine was asked not be wanted any more; what is under way is ended there."""
        if member.future is not None:
            self._client.cancel([member.future], force=True)
            member.future = None

    def forget_all(self) -> None:
        """The same of all."""
        for member in self.all.values():
            self.forget(member)
