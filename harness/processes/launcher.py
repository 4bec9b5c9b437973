"""Starting a worker process, speaking with it, and ending it whatever it does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from backends.allocator import KEEP_FREED_MEMORY
from backends.registry import Manner, Registration
from harness.processes.suitability import check_version, unsuited
from harness.processes.worker_log import WorkerLog
from harness.worker.calls import Verb, unpack
from harness.worker.job import Load, Save, TakeTurn, TrainingJob
from harness.worker.limits import oom_kills
from harness.worker.protocol import Channel, ChannelClosed, ChannelTimeout, Message, ProtocolError
from harness.worker.reports import Event, Failure, Figures, Loaded, TrainedState, TrainingReport, Turn
from results.record import Status
from specs.architecture import Architecture
from specs.codec import from_plain, to_plain
from specs.errors import RequestError
from specs.program import CODE

# Variables a worker takes over from the user; all others reach it only through the adapter's environment().
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
)

LAST_WORDS_OF_MEMORY = (
    *("std::bad_alloc", "cannot allocate memory", "out of memory", "memoryerror"),
    *("memory allocation still failed", "failed to map segment"),
)
GRACE_S = 5.0
STARTING = "starting the worker"

T = TypeVar("T")


@dataclass(frozen=True)
class _Event:
    event: Event


class WorkerFailed(Exception):
    """A worker did not answer with a result.

    ``status`` is a status of the run record: failed, crashed, timed_out, out_of_memory, diverged or unsupported;
    ``doing`` what was asked of the worker, ``reason`` what it said of an exception, without the exception's name.
    """

    def __init__(
        self,
        status: Status,
        message: str,
        *,
        kind: str = "",
        doing: str = "",
        reason: str | None = None,
        traceback: str | None = None,
        exit_code: int | None = None,
        signal_name: str | None = None,
        log_tail: str = "",
        step: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status: Status = status
        self.kind = kind or status
        self.doing = doing
        self.reason = message if reason is None else reason
        self.traceback = traceback
        self.exit_code = exit_code
        self.signal_name = signal_name
        self.log_tail = log_tail
        self.step = step


class Refused(RequestError):
    """The worker's framework cannot do what was asked of it: a device that is not there, say."""


class InterpreterVanished(RequestError):
    """The interpreter was found and yet does not start."""


class WorkerProcess:
    """One worker. Use as a context manager: leaving it ends the process group, however the worker behaves.

    ``environment`` holds its variables; ``variables_for_speed`` those beyond the default manner's, "NAME=value" each.
    """

    def __init__(
        self,
        registration: Registration,
        *,
        python: Path,
        threads: int,
        tuning: Manner = "recommended",
        architecture: Architecture | None = None,
        log: Path | None = None,
        memory_limit_mb: int | None = None,
    ) -> None:
        self.registration = registration
        self.threads = threads
        self.memory_limit_mb = memory_limit_mb
        self._oom_kills = oom_kills()
        self.environment, as_it_comes = (
            worker_environment(registration, architecture=architecture, threads=threads, tuning=manner)
            for manner in (tuning, "default")
        )
        self.variables_for_speed = tuple(
            f"{name}={value}" for name, value in self.environment.items() if as_it_comes.get(name) != value
        )
        self._log = WorkerLog(log)
        request_read, request_write = os.pipe()
        answer_read, answer_write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python), "-m", "harness.worker", str(request_read), str(answer_write), str(os.getpid())],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log.write_fd,
                stderr=subprocess.STDOUT,
                pass_fds=(request_read, answer_write),
                start_new_session=True,
                cwd=tempfile.gettempdir(),
            )
        except OSError as error:
            for fd in (request_write, answer_read):
                os.close(fd)
            raise InterpreterVanished(f"{python}: cannot start this interpreter: {error.strerror}") from None
        finally:
            os.close(request_read)
            os.close(answer_write)
            self._log.started()
        self._channel = Channel(answer_read, request_write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(graceful=kind is None)

    @property
    def pid(self) -> int:
        """Process (and process group) id."""
        return self._process.pid

    @property
    def resident_mb(self) -> float:
        """MiB that it holds. Raises psutil.NoSuchProcess where it has ended."""
        import psutil

        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    @property
    def alive(self) -> bool:
        """Whether it can still be asked for anything."""
        return self._process.poll() is None

    def load(self, *, timeout_s: float | None = None, stall_s: float | None = None) -> Loaded:
        """Import the framework in the worker. Raises as ``request`` does, and where it is not the version named."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        hello = self._receive(deadline, stall_s, STARTING)
        if hello.kind != "hello":
            raise self._failure("failed", f"the worker's first word was {hello.kind[:80]!r}")
        asked = Load(
            adapter=self.registration.adapter,
            threads=self.threads,
            cpus=tuple(sorted(os.sched_getaffinity(0))[: self.threads]),
            memory_limit_mb=self.memory_limit_mb,
        )
        answer = self.request("load", to_plain(asked), timeout_s=_left(deadline), stall_s=stall_s)
        loaded = self._understood(Loaded, answer.fields, "load", "result")
        check_version(self.registration, loaded.framework.framework_version)
        return loaded

    def train(
        self,
        job: TrainingJob,
        on_event: Callable[[Event], None],
        *,
        timeout_s: float | None = None,
        stall_s: float | None = None,
    ) -> TrainingReport:
        """Have it train, hearing of its events. Raises as ``request`` does."""

        def hear(fields: dict[str, Any]) -> None:
            on_event(self._understood(_Event, {"event": fields}, "train", "event").event)

        answer = self.request("train", to_plain(job), on_event=hear, timeout_s=timeout_s, stall_s=stall_s)
        figures = self._understood(Figures, answer.fields, "train", "result")
        try:
            return TrainingReport(figures=figures, **answer.arrays)
        except TypeError as error:
            raise self._broken("train", "result", error) from None

    def save(self, directory: Path, *, timeout_s: float | None = None, stall_s: float | None = None) -> TrainedState:
        """What was trained last, once the framework has written it into ``directory``. Raises as ``request`` does."""
        answer = self.request("save", to_plain(Save(directory=directory)), timeout_s=timeout_s, stall_s=stall_s)
        try:
            return TrainedState(**unpack(answer.fields, answer.arrays))
        except (TypeError, KeyError) as error:
            raise self._broken("save", "result", error) from None

    def begin_turns(self, job: TrainingJob, *, timeout_s: float | None = None) -> None:
        """Have it hold a training open, compiled, to make turns of it. Raises as ``request`` does."""
        self.request("begin_turns", to_plain(job), timeout_s=timeout_s)

    def warm_up(self, *, timeout_s: float | None = None) -> None:
        """Have it warm up for turns, while nobody else is at work. Raises as ``request`` does."""
        self.request("warm_up", timeout_s=timeout_s)

    def turn(self, asked: TakeTurn, *, timeout_s: float | None = None) -> Turn:
        """One turn of the training that it holds open. Raises as ``request`` does."""
        answer = self.request("turn", to_plain(asked), timeout_s=timeout_s)
        return self._understood(Turn, answer.fields, "turn", "result")

    def request(
        self,
        verb: Verb,
        fields: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Any] | None = None,
        *,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        timeout_s: float | None = None,
        stall_s: float | None = None,
    ) -> Message:
        """Send a request and wait for its result, handing events on as they come.

        ``timeout_s`` bounds the whole request, ``stall_s`` the silence between two messages. Raises RequestError when
        the worker says that the request was wrong, WorkerFailed for every other way of not getting a result.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._channel.send(verb, fields, arrays)
        except ChannelClosed:
            raise self._died(verb) from None
        while True:
            message = self._receive(deadline, stall_s, verb)
            match message.kind:
                case "event":
                    if on_event is not None:
                        on_event(message.fields)
                case "result":
                    return message
                case "error":
                    raise self._reported(message.fields, verb)
                case other:
                    raise self._failure("failed", f"the worker answered {verb!r} with {other[:80]!r}")

    def pause(self) -> None:
        """Stop it until ``proceed``: threads of a framework may spin while they wait, on a CPU that another needs."""
        self._signal(signal.SIGSTOP)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def proceed(self) -> None:
        """Let it run on after ``pause``."""
        self._signal(signal.SIGCONT)

    def end(self, *, graceful: bool = True) -> None:
        """Let the worker leave, then make sure that nothing of its process group is left."""
        self.proceed()
        if graceful and self._process.poll() is None:
            with contextlib.suppress(ChannelClosed):
                self._channel.send("exit")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        self.kill()
        self._channel.close()
        self._log.close(GRACE_S)

    def kill(self) -> None:
        """End it at once; who waits for its answer, in another thread say, hears that it died."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Send it to the whole process group, of which nothing may be left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _receive(self, deadline: float | None, stall_s: float | None, doing: str) -> Message:
        left = _left(deadline)
        patience = min((t for t in (left, stall_s) if t is not None), default=None)
        try:
            return self._channel.receive(patience)
        except ChannelTimeout:
            self.kill()
            what = f"no sign of life after {stall_s:g} s" if patience == stall_s else "not finished in time"
            raise self._failure("timed_out", f"{doing}: {what}; the worker was ended", doing=doing) from None
        except ChannelClosed:
            raise self._died(doing) from None
        except KeyboardInterrupt:  # the next request would take this one's answer for its own
            self.kill()
            raise
        except ProtocolError as error:
            self.kill()
            raise self._failure("failed", f"{doing}: broken message from the worker: {error}") from None

    def _died(self, doing: str) -> WorkerFailed:
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # closed its pipe without ending
            self.kill()
            return self._failure("failed", f"{doing}: the worker closed its pipe without ending", doing=doing)
        self.kill()  # what it left behind would hold the pipe of its log open
        if code >= 0:
            text = f"{doing}: the worker ended with exit code {code}{self._last_words()}"
            return self._failure(self._status_of_death(), text, exit_code=code, doing=doing)
        name = _signal_name(-code)
        text = f"{doing}: the worker was killed by {name}"
        if name == "SIGKILL" and (oom_kills() or 0) > (self._oom_kills or 0):
            text += " (the kernel's out-of-memory killer was at work)"
            return self._failure("out_of_memory", text, signal_name=name, doing=doing)
        return self._failure(self._status_of_death(), text, signal_name=name, doing=doing)

    def _last_words(self) -> str:
        """The last line that it printed, where that is an error of Python's or an interpreter's word on itself."""
        lines = self._tail().strip().splitlines()
        last = lines[-1].strip() if lines else ""
        return f": {last[:200]}" if re.match(r"[\w.]*(Error|Exception)\b|\S*python\S*: ", last) else ""

    def _status_of_death(self) -> Status:
        """Out of memory where the last words of a dying C++ runtime say so, else crashed."""
        tail = self._tail().lower()
        return "out_of_memory" if any(words in tail for words in LAST_WORDS_OF_MEMORY) else "crashed"

    def _reported(self, fields: dict[str, Any], verb: str) -> Exception:
        said = self._understood(Failure, fields, verb, "error")
        if said.status == "request":
            return Refused(" ".join(said.message.split()))
        unsuitable = unsuited(self.registration, said)
        return WorkerFailed(
            "unsupported" if unsuitable else said.status,
            unsuitable or (f"{said.type}: {said.message}" if said.type else said.message),
            kind=said.type,
            doing=verb,
            reason=unsuitable or said.message,
            traceback=said.traceback,
            log_tail=self._log.tail(),
            step=said.step if said.step is not None and 0 <= said.step < 2**63 else None,
        )

    def _understood(self, cls: type[T], fields: dict[str, Any], verb: str, what: str) -> T:
        try:
            return from_plain(cls, fields)
        except (ValueError, TypeError) as error:
            raise self._broken(verb, what, error) from None

    def _broken(self, verb: str, what: str, error: Exception) -> WorkerFailed:
        reason = " ".join(str(error).split())[:300]
        return self._failure(
            "failed", f"{verb}: broken {what} from the worker: {reason}", kind="ProtocolError", doing=verb
        )

    def _failure(self, status: Status, message: str, **more: Any) -> WorkerFailed:
        return WorkerFailed(status, message, log_tail=self._tail(), **more)

    def _tail(self) -> str:
        """The last of what the worker printed; all of it where it has ended."""
        return self._log.tail(GRACE_S if self._process.poll() is not None else 0.0)


def _left(deadline: float | None) -> float | None:
    """Seconds until a deadline of the monotonic clock."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def worker_environment(
    registration: Registration, *, architecture: Architecture | None, threads: int, tuning: Manner
) -> dict[str, str]:
    """All variables of a worker: the few inherited, the adapter's, and the allocator's in the expert manner."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    adapter = registration.create().environment(architecture=architecture, threads=threads, tuning=tuning)
    return {
        **inherited,
        **(KEEP_FREED_MEMORY if tuning == "expert" else {}),
        **adapter,
        "PYTHONPATH": str(CODE),
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
    }
