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
from typing import Any, Literal, cast

import numpy as np

from backends.contract import Backend, Predictor, SessionSpec, Unsupported
from harness.worker import limits, memory
from harness.worker.calls import VERBS, invoke, pack
from harness.worker.epochs import Diverged
from harness.worker.job import Load, Save, TakeTurn, TrainingJob
from harness.worker.protocol import Channel, ChannelClosed, Message
from harness.worker.reports import Failure, Loaded
from harness.worker.script import pack_played, play, unpack_calls
from harness.worker.timing import in_turn
from harness.worker.training import Training
from harness.worker.turns import Turns
from specs.codec import from_plain, to_plain
from specs.errors import RequestError

Answer = tuple[dict[str, Any], dict[str, Any]]
"""Fields and arrays of a result."""


class Worker:
    """Answers one request after another; each of VERBS is the method of that name."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.backend: Backend | None = None
        self.sessions: dict[int, Predictor] = {}
        self.training: Training | None = None
        self.turns: Turns | None = None

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
                self.channel.send("error", to_plain(failure_of(error)))
            else:
                self.channel.send("result", fields, arrays)

    def _verb(self, kind: str) -> Callable[[Message], Answer]:
        if kind not in VERBS:
            raise ValueError(f"a worker cannot be asked to {kind!r}")
        return cast(Callable[[Message], Answer], getattr(self, kind))

    def load(self, request: Message) -> Answer:
        """Import the framework: Load -> Loaded."""
        asked = from_plain(Load, request.fields)
        if asked.cpus:
            os.sched_setaffinity(0, asked.cpus)
        if asked.memory_limit_mb:
            limits.limit_memory(asked.memory_limit_mb)
        module, _, cls = asked.adapter.partition(":")
        start = time.perf_counter()
        backend: Backend = getattr(import_module(module), cls)()
        backend.load(threads=asked.threads)
        import_s = time.perf_counter() - start
        self.backend = backend
        loaded = Loaded(
            framework=backend.describe(),
            python=sys.version.split()[0],
            import_s=import_s,
            after_import_rss_mb=memory.rss_mb(),
        )
        return to_plain(loaded), {}

    def train(self, request: Message) -> Answer:
        """Run one training: a TrainingJob -> Figures and arrays of a TrainingReport; Events on the way."""
        job = from_plain(TrainingJob, request.fields)
        self.training = Training(self._loaded, job, emit=lambda event: self.channel.send("event", to_plain(event)))
        report = self.training.run()
        if not job.keep:
            self.training.close()
        return to_plain(report.figures), report.arrays()

    def save(self, request: Message) -> Answer:
        """Save what was trained: Save -> a TrainedState's arrays."""
        if self.training is None:
            raise RuntimeError("nothing was trained")
        state = self.training.save(from_plain(Save, request.fields).directory)
        return pack({"parameters": state.parameters, "optimizer_state": state.optimizer_state})

    def begin_turns(self, request: Message) -> Answer:
        """Hold a training open, compiled, to make turns of it: a TrainingJob."""
        self.turns = Turns(self._loaded, from_plain(TrainingJob, request.fields))
        return {}, {}

    def warm_up(self, request: Message) -> Answer:
        """Warm up for turns, which wants the machine to itself: {}."""
        self._turns.warm_up()
        return {}, {}

    def turn(self, request: Message) -> Answer:
        """Make a turn: TakeTurn -> Turn."""
        return to_plain(self._turns.take(from_plain(TakeTurn, request.fields))), {}

    def open(self, request: Message) -> Answer:
        """Open a session: {session: its number, spec}."""
        session = self._loaded.open(from_plain(SessionSpec, request.fields["spec"]))
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
        """Call a method of the contract: {session, method, arguments}, packed."""
        session = self.sessions[request.fields["session"]]
        return invoke(session, request.fields["method"], request.fields["arguments"], request.arrays)

    def play(self, request: Message) -> Answer:
        """Carry a script out on sessions of its own: {spec, calls}, packed -> what was played, packed."""
        spec = from_plain(SessionSpec, request.fields["spec"])
        return pack_played(play(self._loaded.open, spec, unpack_calls(request.fields, request.arrays)))

    def measure(self, request: Message) -> Answer:
        """Time a method of the contract in several sessions in turn: {sessions, method, arguments,
        settle_s, seconds}.

        Answers float64 seconds of every counted call, one array per session, named by its place among ``sessions``.
        """
        fields = request.fields
        method, arguments, arrays = fields["method"], fields["arguments"], request.arrays
        calls = [partial(invoke, self.sessions[number], method, arguments, arrays) for number in fields["sessions"]]
        times = in_turn(calls, settle_s=fields["settle_s"], seconds=fields["seconds"])
        return {}, {str(place): np.array(own) for place, own in enumerate(times)}

    @property
    def _turns(self) -> Turns:
        if self.turns is None:
            raise RuntimeError("no training is held open")
        return self.turns

    @property
    def _loaded(self) -> Backend:
        if self.backend is None:
            raise RuntimeError("no framework is loaded yet")
        return self.backend


def failure_of(error: BaseException) -> Failure:
    """An exception, and the status that it means for a run."""
    return Failure(
        status=_status(error),
        type=type(error).__name__,
        message=str(error)[:4000],
        traceback="".join(traceback.format_exception(error))[-20_000:],
        step=error.step if isinstance(error, Diverged) else None,
    )


def _status(error: BaseException) -> Literal["request", "unsupported", "diverged", "out_of_memory", "failed"]:
    match error:
        case RequestError():
            return "request"
        case Unsupported():
            return "unsupported"
        case Diverged():
            return "diverged"
        case MemoryError():
            return "out_of_memory"
        case _ if "out of memory" in str(error).lower():  # torch.OutOfMemoryError, ResourceExhaustedError and the like
            return "out_of_memory"
    return "failed"


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
