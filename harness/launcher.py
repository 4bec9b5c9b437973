"""Starting a worker process, speaking with it, and ending it whatever it does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from backends.registry import Registration
from harness.limits import oom_kills
from harness.protocol import Channel, ChannelClosed, ChannelTimeout, Message, ProtocolError
from specs.architecture import Architecture
from specs.errors import RequestError

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

# glibc gives freed activations back to the kernel after every step and faults them in again: 10-25 % of a convolution
# model's step. Set for every tuned backend alike, so that none gets the gain by accident.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}

CODE = Path(__file__).resolve().parent.parent
LOG_TAIL_BYTES = 8000
LAST_WORDS_OF_MEMORY = ("std::bad_alloc", "cannot allocate memory", "out of memory", "memoryerror")
GRACE_S = 5.0


class WorkerFailed(Exception):
    """A worker did not answer with a result.

    ``status`` is a status of the run record: failed, crashed, timed_out, out_of_memory, diverged or unsupported.
    """

    def __init__(
        self,
        status: str,
        message: str,
        *,
        kind: str = "",
        traceback: str | None = None,
        exit_code: int | None = None,
        signal_name: str | None = None,
        log_tail: str = "",
        step: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind or status
        self.traceback = traceback
        self.exit_code = exit_code
        self.signal_name = signal_name
        self.log_tail = log_tail
        self.step = step


class WorkerProcess:
    """One worker. Use as a context manager: leaving it ends the process group, however the worker behaves."""

    def __init__(
        self,
        registration: Registration,
        *,
        python: Path,
        threads: int,
        tuning: bool = True,
        architecture: Architecture | None = None,
        log: Path | None = None,
        memory_limit_mb: int | None = None,
    ) -> None:
        self.registration = registration
        self.threads = threads
        self.memory_limit_mb = memory_limit_mb
        self._oom_kills = oom_kills()
        self._log: IO[bytes] = log.open("ab+") if log else tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self.environment = worker_environment(registration, architecture=architecture, threads=threads, tuning=tuning)
        request_read, request_write = os.pipe()
        answer_read, answer_write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [str(python), "-m", "harness.worker", str(request_read), str(answer_write), str(os.getpid())],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(request_read, answer_write),
                start_new_session=True,
                cwd=tempfile.gettempdir(),
            )
        except OSError as error:
            for fd in (request_write, answer_read):
                os.close(fd)
            self._log.close()
            raise RequestError(f"{python}: cannot start this interpreter: {error.strerror}") from None
        finally:
            os.close(request_read)
            os.close(answer_write)
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

    def load(self, *, timeout_s: float | None = None) -> dict[str, Any]:
        """Import the framework in the worker; returns what ``harness.worker.Worker.load`` says."""
        hello = self._receive(timeout_s, "starting the worker")
        if hello.kind != "hello":
            raise self._failure("failed", f"the worker's first word was {hello.kind!r}")
        cpus = sorted(os.sched_getaffinity(0))[: self.threads]
        fields = {
            "adapter": self.registration.adapter,
            "threads": self.threads,
            "cpus": cpus,
            "memory_limit_mb": self.memory_limit_mb,
        }
        return self.request("load", fields, timeout_s=timeout_s).fields

    def request(
        self,
        verb: str,
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
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            patience = min((t for t in (left, stall_s) if t is not None), default=None)
            stalled = patience is not None and patience == stall_s and patience != left
            message = self._receive(patience, verb, stalled=stalled)
            match message.kind:
                case "event":
                    if on_event is not None:
                        on_event(message.fields)
                case "result":
                    return message
                case "error":
                    raise self._reported(message.fields)
                case other:
                    raise self._failure("failed", f"the worker answered {verb!r} with {other[:80]!r}")

    def end(self, *, graceful: bool = True) -> None:
        """Let the worker leave, then make sure that nothing of its process group is left."""
        if graceful and self._process.poll() is None:
            with contextlib.suppress(ChannelClosed):
                self._channel.send("exit")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
        self._kill()
        self._channel.close()
        self._log.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _receive(self, timeout_s: float | None, doing: str, *, stalled: bool = False) -> Message:
        try:
            return self._channel.receive(timeout_s)
        except ChannelTimeout:
            self._kill()
            what = "no sign of life" if stalled else "not finished"
            raise self._failure("timed_out", f"{doing}: {what} after {timeout_s:.0f} s; the worker was ended") from None
        except ChannelClosed:
            raise self._died(doing) from None
        except ProtocolError as error:
            self._kill()
            raise self._failure("failed", f"{doing}: broken message from the worker: {error}") from None

    def _died(self, doing: str) -> WorkerFailed:
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # closed its pipe without ending
            self._kill()
            return self._failure("failed", f"{doing}: the worker closed its pipe without ending")
        if code >= 0:
            text = f"{doing}: the worker ended with exit code {code}"
            return self._failure(self._status_of_death(), text, exit_code=code)
        name = signal.Signals(-code).name
        text = f"{doing}: the worker was killed by {name}"
        if name == "SIGKILL" and (oom_kills() or 0) > (self._oom_kills or 0):
            text += " (the kernel's out-of-memory killer was at work)"
            return self._failure("out_of_memory", text, signal_name=name)
        return self._failure(self._status_of_death(), text, signal_name=name)

    def _status_of_death(self) -> str:
        """Out of memory where the last words of a dying C++ runtime say so, else crashed."""
        tail = self._tail().lower()
        return "out_of_memory" if any(words in tail for words in LAST_WORDS_OF_MEMORY) else "crashed"

    def _reported(self, fields: dict[str, Any]) -> Exception:
        message = str(fields.get("message", ""))
        if fields.get("status") == "request":
            return RequestError(message)
        kind = str(fields.get("type", ""))
        return WorkerFailed(
            str(fields.get("status", "failed")),
            f"{kind}: {message}" if kind else message,
            kind=kind,
            traceback=fields.get("traceback"),
            log_tail=self._tail(),
            step=fields.get("step"),
        )

    def _failure(self, status: str, message: str, **more: Any) -> WorkerFailed:
        return WorkerFailed(status, message, log_tail=self._tail(), **more)

    def _tail(self) -> str:
        """The last bytes of what the worker printed."""
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
        return data.decode(errors="replace")


def worker_environment(
    registration: Registration, *, architecture: Architecture | None, threads: int, tuning: bool
) -> dict[str, str]:
    """All variables of a worker: the few inherited, the adapter's, and the allocator's settings when tuning."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    adapter = registration.create().environment(architecture=architecture, threads=threads, tuning=tuning)
    return {
        **inherited,
        **(MALLOC if tuning else {}),
        **adapter,
        "PYTHONPATH": str(CODE),
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
    }
