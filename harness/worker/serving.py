"""The worker: a process with one framework inside that answers the parent's requests over a pipe.

Started as ``python -m harness.worker READ_FD WRITE_FD PARENT``. It imports the standard library, NumPy, its framework
and pure modules, so that its memory is the framework's. What the framework prints goes to the log file that the parent
made its stdout and stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from backends.contract import Backend, Predictor, Session, SessionSpec, Unsupported
from harness.worker import limits, memory
from harness.worker.protocol import Channel, ChannelClosed, Message
from harness.worker.timing import in_turn
from harness.worker.training import Diverged, TrainingJob, train
from specs.errors import RequestError

Answer = tuple[dict[str, Any], dict[str, Any]]
"""Fields and arrays of a result."""


class Worker:
    """Answers one request after another; each verb of the protocol is the method of that name."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.backend: Backend | None = None
        self.sessions: dict[int, Predictor] = {}
        self.import_s = 0.0

    def serve(self) -> None:
        """Until the parent says exit or closes the pipe."""
        self.channel.send("hello", {"pid": os.getpid()})
        while True:
            request = self.channel.receive()
            if request.kind == "exit":
                return
            try:
                fields, arrays = self._verb(request.kind)(request)
            except Exception as error:  # reported whole to the parent, which decides
                self.channel.send("error", describe_error(error))
            else:
                self.channel.send("result", fields, arrays)

    def _verb(self, kind: str) -> Callable[[Message], Answer]:
        verbs: dict[str, Callable[[Message], Answer]] = {
            "load": self.load,
            "train": self.train,
            "open": self.open,
            "open_exported": self.open_exported,
            "close": self.close,
            "call": self.call,
            "measure": self.measure,
        }
        return verbs[kind]

    def load(self, request: Message) -> Answer:
        """Import the framework: {adapter: "module:Class", threads, cpus, memory_limit_mb} -> its description."""
        if request.fields["cpus"]:
            os.sched_setaffinity(0, request.fields["cpus"])
        if request.fields["memory_limit_mb"]:
            limits.limit_memory(request.fields["memory_limit_mb"])
        module, _, cls = request.fields["adapter"].partition(":")
        start = time.perf_counter()
        backend: Backend = getattr(import_module(module), cls)()
        backend.load(threads=request.fields["threads"])
        self.import_s = time.perf_counter() - start
        self.backend = backend
        description = backend.describe()
        return {
            "framework_version": description.framework_version,
            "devices": list(description.devices),
            "precisions": list(description.precisions),
            "packages": description.packages,
            "build": description.build,
            "python": sys.version.split()[0],
            "import_s": self.import_s,
            "after_import_rss_mb": memory.rss_mb(),
        }, {}

    def train(self, request: Message) -> Answer:
        """Run one training: the fields of a TrainingJob -> its result; progress as events on the way."""
        job = TrainingJob.from_dict(request.fields)
        result = train(self._loaded, job, emit=lambda event: self.channel.send("event", event))
        # The epochs went as events: a result that held them all again would outgrow a header in a run of many hours.
        return {key: value for key, value in result.fields.items() if key != "epochs"}, result.arrays

    def open(self, request: Message) -> Answer:
        """Open a session: {session: its number, spec}."""
        session = self._loaded.open(SessionSpec.from_dict(request.fields["spec"]))
        self.sessions[request.fields["session"]] = session
        return {"tuning": list(session.tuning())}, {}

    def open_exported(self, request: Message) -> Answer:
        """Open an exported model among the sessions: {session: its number, directory, threads}."""
        directory, threads = Path(request.fields["directory"]), request.fields["threads"]
        self.sessions[request.fields["session"]] = self._loaded.open_exported(directory, threads=threads)
        return {}, {}

    def close(self, request: Message) -> Answer:
        """Close a session: {session}."""
        self.sessions.pop(request.fields["session"]).close()
        return {}, {}

    def call(self, request: Message) -> Answer:
        """Call a method of the contract: {session, method} and its arguments as arrays."""
        session = self.sessions[request.fields["session"]]
        return CALLS[request.fields["method"]](session, request)

    def measure(self, request: Message) -> Answer:
        """Time a method of the contract in several sessions in turn: {sessions, method, settle_s, seconds}, arguments.

        Answers float64 seconds of every counted call, one array per session, named by its place among ``sessions``.
        """
        fields = request.fields
        calls = [partial(CALLS[fields["method"]], self.sessions[number], request) for number in fields["sessions"]]
        times = in_turn(calls, settle_s=fields["settle_s"], seconds=fields["seconds"])
        return {}, {str(place): np.array(own) for place, own in enumerate(times)}

    @property
    def _loaded(self) -> Backend:
        if self.backend is None:
            raise RuntimeError("no framework is loaded yet")
        return self.backend


def _masks(arrays: dict[str, Any]) -> dict[str, Any] | None:
    """The dropout masks among a request's arrays: those named "mask:<layer>"."""
    dropout_masks = {name.removeprefix("mask:"): array for name, array in arrays.items() if name.startswith("mask:")}
    return dropout_masks or None


def _set_training_data(session: Session, request: Message) -> Answer:
    session.set_training_data(request.arrays["images"], request.arrays["labels"])
    return {}, {}


def _compile(session: Session, request: Message) -> Answer:
    session.compile(request.fields["batch_size"], request.fields["steps"])
    return {}, {}


def _train_steps(session: Session, request: Message) -> Answer:
    a = request.arrays
    return {}, {"losses": session.train_steps(a["batch_indices"], a["learning_rates"], dropout_masks=_masks(a))}


def _predict(session: Predictor, request: Message) -> Answer:
    return {}, {"logits": session.predict(request.arrays["images"])}


def _loss_and_gradients(session: Session, request: Message) -> Answer:
    a = request.arrays
    loss, gradients = session.loss_and_gradients(a["images"], a["labels"], dropout_masks=_masks(a))
    return {"loss": float(loss)}, gradients


def _parameters(session: Session, _: Message) -> Answer:
    return {}, session.parameters()


def _load_parameters(session: Session, request: Message) -> Answer:
    session.load_parameters(request.arrays)
    return {}, {}


def _optimizer_state(session: Session, _: Message) -> Answer:
    return {}, session.optimizer_state()


def _load_optimizer_state(session: Session, request: Message) -> Answer:
    session.load_optimizer_state(request.arrays)
    return {}, {}


def _save(session: Session, request: Message) -> Answer:
    return {"files": [str(path) for path in session.save(Path(request.fields["directory"]))]}, {}


def _export(session: Session, request: Message) -> Answer:
    session.export(Path(request.fields["directory"]))
    return {}, {}


def _synchronize(session: Session, _: Message) -> Answer:
    session.synchronize()
    return {}, {}


def _peak_device_memory(session: Session, _: Message) -> Answer:
    return {"bytes": session.peak_device_memory()}, {}


CALLS: dict[str, Callable[[Any, Message], Answer]] = {  # an exported model can only predict
    "set_training_data": _set_training_data,
    "compile": _compile,
    "train_steps": _train_steps,
    "predict": _predict,
    "loss_and_gradients": _loss_and_gradients,
    "parameters": _parameters,
    "load_parameters": _load_parameters,
    "optimizer_state": _optimizer_state,
    "load_optimizer_state": _load_optimizer_state,
    "save": _save,
    "export": _export,
    "synchronize": _synchronize,
    "peak_device_memory": _peak_device_memory,
}


def describe_error(error: BaseException) -> dict[str, Any]:
    """An exception as fields of an error message: the status it means for a run, its text and traceback."""
    match error:
        case RequestError():
            status = "request"
        case Unsupported():
            status = "unsupported"
        case Diverged():
            status = "diverged"
        case MemoryError():
            status = "out_of_memory"
        case _ if "out of memory" in str(error).lower():  # torch.OutOfMemoryError, ResourceExhaustedError and the like
            status = "out_of_memory"
        case _:
            status = "failed"
    return {
        "status": status,
        "type": type(error).__name__,
        "message": str(error)[:4000],
        "traceback": "".join(traceback.format_exception(error))[-20_000:],
        "step": error.step if isinstance(error, Diverged) else None,
    }


def main() -> None:
    """Serve on the two descriptors named on the command line, for the parent named after them."""
    read_fd, write_fd, parent = (int(word) for word in sys.argv[1:4])
    limits.die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    channel = Channel(read_fd, write_fd)
    try:
        Worker(channel).serve()
    except ChannelClosed:
        os._exit(1)  # the parent is gone; nothing is left to do or to tell
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # frameworks crash or hang in their destructors at exit; all is written, so leave at once


if __name__ == "__main__":
    main()
