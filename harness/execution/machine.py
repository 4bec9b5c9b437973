"""``python -m harness.execution.machine READ_FD WRITE_FD PARENT``: a machine of a cluster, in a process of its own.

It takes one order after another over a pipe and answers each. It does not outlive the process that started it, its
workers do not outlive it, and SIGTERM ends what it is doing as Ctrl-C does.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from backends.registry import find
from harness.datasets import Dataset
from harness.execution.engine import Interrupted
from harness.execution.identity import code_sha256, fingerprint_of
from harness.execution.local import LocalEngine
from harness.execution.noting import RaceNotes, Tell, UnitNotes
from harness.execution.orders import (
    Answer,
    Failed,
    Keep,
    Kept,
    Made,
    Order,
    RaceOrder,
    RunOrder,
    Survey,
    Surveyed,
    answer_bytes,
    read_order,
)
from harness.execution.shipping import keep, kept
from harness.measuring.machine import available_cpus, machine
from harness.measuring.peak import measure, remembered
from harness.processes.environments import in_running_interpreter, named_by_user
from harness.processes.launcher import WorkerFailed
from harness.processes.managed import Environment
from harness.processes.remote import open_worker
from harness.running.interrupts import stop_like_ctrl_c
from harness.worker.limits import die_with_parent
from harness.worker.protocol import Channel, ChannelClosed
from results.record import bounded
from specs.errors import RequestError

LOG_BYTES = 1 << 18
"""Of a run's log that travels: its end."""


class OrderHandler:
    """Carries out orders. ``tell`` is called now and then."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def carry_out(self, order: Order, blob: bytes | None) -> Answer:
        """The answer to an order. Raises RequestError where it cannot be carried out here."""
        match order:
            case Survey():
                return self._surveyed(order)
            case Keep():
                keep(order.dataset, blob or b"")
                return Kept()
            case RunOrder():
                return self._run(order)
            case RaceOrder():
                return self._race(order)

    def _surveyed(self, order: Survey) -> Surveyed:
        if order.code != code_sha256():
            return Surveyed(problem="its harness is not the driver's: install the same version there")
        if order.numpy != np.__version__:
            return Surveyed(
                problem=f"its NumPy is {np.__version__}, the driver's {order.numpy}: they may draw other numbers"
            )
        if order.threads > available_cpus():
            return Surveyed(problem=f"it has {available_cpus()} CPUs: choose --threads {available_cpus()} or less")
        try:
            versions = {subject: self._version(subject) for subject in order.subjects}
        except (RequestError, WorkerFailed) as error:
            return Surveyed(problem=str(error))
        if remembered(order.threads) is None:
            measure(order.threads)
        here = machine()
        return Surveyed(
            fingerprint=fingerprint_of(here),
            told=f"{here.cpu or 'unknown CPU'}, {here.cores} CPUs, {(here.ram_mb or 0) / 1024:.0f} GiB",
            versions=versions,
            lacking=tuple(digest for digest in order.datasets if _dataset(digest) is None),
        )

    def _version(self, subject: str) -> str:
        """That of a framework here, whose environment is made first where there is none."""
        self._tell(f"setup {subject}", "")
        registration = find(subject)
        if not (named_by_user(registration) or in_running_interpreter(registration)):
            Environment(registration).ensure(lambda line: self._tell(f"setup {subject}", line))
        return _version(subject)

    def _run(self, order: RunOrder) -> Made:
        with tempfile.TemporaryDirectory(prefix="harness-unit-") as folder:
            engine = LocalEngine(_datasets(order.datasets), lambda run_id: _folder(Path(folder, run_id)))
            records = [record.to_json() for record in engine.run([order.unit], UnitNotes(self._tell))]
            logs = {file.parent.name: _end_of(file) for file in sorted(Path(folder).glob("*/worker.log"))}
        return Made(records=tuple(records), logs=logs)

    def _race(self, order: RaceOrder) -> Made:
        engine = LocalEngine(_datasets(order.datasets), lambda run_id: Path())
        (race,) = engine.race([order.task], RaceNotes(self._tell))
        return Made(race=race.to_json())


@cache
def _version(subject: str) -> str:
    """What the framework says of itself: its worker is started once for that."""
    with open_worker(subject, timeout_s=300) as worker:
        return worker.loaded.framework.framework_version


_DATASETS: dict[str, Dataset] = {}
"""Those that were read and found whole, by their digests."""


def _dataset(digest: str) -> Dataset | None:
    if digest not in _DATASETS and (dataset := kept(digest)) is not None:
        _DATASETS[digest] = dataset
    return _DATASETS.get(digest)


def _datasets(digests: Mapping[str, str]) -> Callable[[str], Dataset]:
    """Of the names of an order's plans. Raises RequestError where one is not here: it was deleted meanwhile, say."""
    found = {name: _dataset(digest) for name, digest in digests.items()}
    if missing := [name for name, dataset in found.items() if dataset is None]:
        raise RequestError(f"data set {missing[0]} is not in this machine's cache, or is damaged there")
    return {name: dataset for name, dataset in found.items() if dataset is not None}.__getitem__


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _end_of(log: Path) -> str:
    return bounded(log.read_bytes()[-LOG_BYTES:].decode(errors="replace"), LOG_BYTES)


def serve(channel: Channel) -> None:
    """Answer orders until the pipe is closed."""

    def tell(doing: str, note: str) -> None:
        channel.send("event", {"doing": bounded(doing, 200), "note": bounded(note, 200)})

    here = OrderHandler(tell)
    while True:
        message = channel.receive()
        blob = message.arrays.get("blob")
        try:
            answer = here.carry_out(
                read_order(message.arrays["order"].tobytes()), None if blob is None else blob.tobytes()
            )
        except (RequestError, ValueError, OSError) as error:  # of the last, a disk that is full
            answer = Failed(reason=bounded(" ".join(str(error).split()), 2000))
        channel.send("result", arrays={"answer": np.frombuffer(answer_bytes(answer), np.uint8)})


def main() -> None:
    """Serve on the two descriptors named on the command line, for the parent named after them."""
    read_fd, write_fd, parent = (int(word) for word in sys.argv[1:4])
    die_with_parent(parent)
    stop_like_ctrl_c()
    with contextlib.suppress(ChannelClosed, KeyboardInterrupt, Interrupted):
        serve(Channel(read_fd, write_fd))


if __name__ == "__main__":
    main()
