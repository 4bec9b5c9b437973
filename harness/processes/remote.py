"""A session that lives in a worker process: the contract's ``Session``, driven from the parent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Predictor, Session, SessionSpec
from backends.contract import Unsupported as UnsupportedError
from backends.registry import Manner, find
from harness.processes.environments import find_python
from harness.processes.launcher import WorkerFailed, WorkerProcess
from harness.worker.calls import Verb, pack, unpack
from harness.worker.protocol import Message
from harness.worker.script import Call, Played, pack_calls, unpack_played
from specs.architecture import Architecture
from specs.codec import to_plain


class RemoteWorker:
    """A loaded worker that opens sessions.

    ``loaded`` is what its framework says of itself, ``in_use`` holds the numbers of the sessions that are not closed.
    """

    def __init__(self, process: WorkerProcess, *, timeout_s: float | None) -> None:
        self.process = process
        self.timeout_s = timeout_s
        self.loaded = process.load(timeout_s=timeout_s)
        self.in_use: set[int] = set()
        self._numbers = itertools.count()

    def open(self, spec: SessionSpec) -> RemoteSession:
        """A session in the worker. Raises RequestError and Unsupported like ``Backend.open``, WorkerFailed else."""
        number = next(self._numbers)
        answer = self.request("open", {"session": number, "spec": to_plain(spec)})
        self.in_use.add(number)
        return RemoteSession(self, number, tuple(answer.fields["tuning"]))

    def open_exported(self, directory: Path) -> RemotePredictor:
        """An exported model, run in the worker. Raises like ``open``."""
        number = next(self._numbers)
        fields = {"session": number, "directory": str(directory.absolute()), "threads": self.process.threads}
        self.request("open_exported", fields)
        self.in_use.add(number)
        return RemotePredictor(self, number)

    def play(self, spec: SessionSpec, calls: Sequence[Call], *, timeout_s: float | None) -> Played:
        """Carry a script out in the worker, all its calls within ``timeout_s``. Raises like ``open``."""
        fields, arrays = pack_calls(calls)
        answer = self._request("play", {"spec": to_plain(spec), **fields}, arrays, timeout_s)
        return unpack_played(answer.fields, answer.arrays)

    def measure(
        self,
        sessions: Sequence[RemotePredictor],
        method: str,
        arrays: Mapping[str, NDArray[Any]],
        *,
        settle_s: float = 0.0,
        seconds: float = 0.0,
    ) -> list[NDArray[np.float64]]:
        """Seconds of calls of ``method`` with ``arrays``, timed in the worker, the sessions taking turns.

        See ``harness.worker.timing.in_turn``; one array of durations per session.
        """
        numbers = [session.number for session in sessions]
        arguments, packed = pack(arrays)
        fields = {"sessions": numbers, "method": method, "arguments": arguments}
        answer = self.request("measure", {**fields, "settle_s": settle_s, "seconds": seconds}, packed)
        return [answer.arrays[str(place)] for place in range(len(numbers))]

    def request(self, verb: Verb, fields: dict[str, Any], arrays: Mapping[str, Any] | None = None) -> Message:
        """Send a request; an "unsupported" answer becomes the contract's Unsupported."""
        return self._request(verb, fields, arrays, self.timeout_s)

    def _request(
        self, verb: Verb, fields: dict[str, Any], arrays: Mapping[str, Any] | None, timeout_s: float | None
    ) -> Message:
        try:
            return self.process.request(verb, fields, arrays, timeout_s=timeout_s)
        except WorkerFailed as failure:
            if failure.status == "unsupported":
                raise UnsupportedError(failure.reason) from None
            raise


@contextmanager
def open_worker(
    backend: str,
    *,
    python: Path | None = None,
    threads: int = 1,
    tuning: Manner = "recommended",
    architecture: Architecture | None = None,
    log: Path | None = None,
    timeout_s: float | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[RemoteWorker]:
    """A worker of ``backend`` with its framework loaded; ended on leaving. ``timeout_s`` bounds each request.

    ``meanwhile`` is called while the framework is imported; what it raises comes before what the import does.
    """
    registration = find(backend)
    process = WorkerProcess(
        registration,
        python=find_python(registration.subject, python),
        threads=threads,
        tuning=tuning,
        architecture=architecture,
        log=log,
    )
    with process:
        yield _loaded(process, timeout_s, meanwhile)


def _loaded(process: WorkerProcess, timeout_s: float | None, meanwhile: Callable[[], object] | None) -> RemoteWorker:
    if meanwhile is None:
        return RemoteWorker(process, timeout_s=timeout_s)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(RemoteWorker, process, timeout_s=timeout_s)
        try:
            meanwhile()
            return loading.result()
        except BaseException:  # the thread waits for the framework, and leaving the pool for its thread
            process.kill()
            raise


class RemotePredictor(Predictor):
    """Predicts in the worker; arrays cross the pipe unchanged."""

    def __init__(self, worker: RemoteWorker, number: int) -> None:
        self._worker = worker
        self.number = number

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        logits: NDArray[Any] = self._call("predict", images=images)["result"]
        return logits

    def close(self) -> None:
        if self._worker.process.alive:  # else nothing is left to close, and what ended it is to be heard
            self._worker.request("close", {"session": self.number})
            self._worker.in_use.discard(self.number)

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method in the worker; its result under "result", of a pair under "first" and "second"."""
        fields, arrays = pack(arguments)
        answer = self._worker.request("call", {"session": self.number, "method": method, "arguments": fields}, arrays)
        return unpack(answer.fields, answer.arrays)


class RemoteSession(RemotePredictor, Session):
    """Every verb executes in the worker."""

    def __init__(self, worker: RemoteWorker, number: int, tuning: tuple[str, ...]) -> None:
        super().__init__(worker, number)
        self._tuning = tuning

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        self._call("set_training_data", images=images, labels=labels)

    def compile(self, batch_size: int, steps: int) -> None:
        self._call("compile", batch_size=batch_size, steps=steps)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        losses: NDArray[np.float64] = self._call(
            "train_steps", batch_indices=batch_indices, learning_rates=learning_rates, dropout_masks=dropout_masks
        )["result"]
        return losses

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        answer = self._call("loss_and_gradients", images=images, labels=labels, dropout_masks=dropout_masks)
        return answer["first"], answer["second"]

    def parameters(self) -> Arrays:
        arrays: Arrays = self._call("parameters")["result"]
        return arrays

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        self._call("load_parameters", parameters=parameters)

    def optimizer_state(self) -> Arrays:
        arrays: Arrays = self._call("optimizer_state")["result"]
        return arrays

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._call("load_optimizer_state", state=state)

    def save(self, directory: Path) -> list[Path]:
        return [Path(path) for path in self._call("save", directory=directory)["result"]]

    def export(self, directory: Path) -> None:
        self._call("export", directory=directory.absolute())

    def synchronize(self) -> None:
        self._call("synchronize")

    def peak_device_memory(self) -> int | None:
        peak: int | None = self._call("peak_device_memory")["result"]
        return peak

    def tuning(self) -> tuple[str, ...]:
        return self._tuning
