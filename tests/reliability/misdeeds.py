"""What the fake framework does in its worker when a test tells it to misbehave beyond raising and dying."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.processes.worker_log import KEPT_BYTES
from harness.worker.protocol import MAGIC, Channel


def _answer_fd() -> int:
    return int(sys.argv[2])  # python -m harness.worker READ_FD WRITE_FD PARENT


def _say(data: bytes) -> None:
    os.write(_answer_fd(), data)
    time.sleep(3600)


def _send(kind: str, fields: dict[str, Any]) -> None:
    Channel(int(sys.argv[1]), _answer_fd()).send(kind, fields)
    time.sleep(3600)


def _header(**changes: Any) -> bytes:
    header = json.dumps({"version": 1, "kind": "result", "fields": {}, "arrays": [], **changes}).encode()
    return MAGIC + len(header).to_bytes(4, "big") + header


def _kill_self(number: int) -> Callable[[], None]:
    def die() -> None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        time.sleep(60)

    return die


def _raise(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def _hang_aloud() -> None:
    """Hang, and leave a file that says so."""
    Path(json.loads(os.environ["HARNESS_FAKE"])["hung"]).touch()
    time.sleep(3600)


def _clock_jumps() -> None:
    """The wall clock goes back an hour at every reading."""
    readings = itertools.count()
    time.time = lambda: 1e9 - 3600 * next(readings)


def _replace_handlers() -> None:
    """What a framework with a crash reporter of its own does, at its worst."""
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(3600)


def _children() -> None:
    """A child and a grandchild that outlive a worker that crashes."""
    subprocess.Popen([sys.executable, "-c", "import os, time; os.fork(); time.sleep(3600)"])
    time.sleep(0.3)
    os._exit(7)


def _flood_past_the_limit() -> None:
    line = b"x" * 99_999 + b"\n"
    for _ in range(KEPT_BYTES // len(line) + 50):
        os.write(1, line)
    os.write(1, b"the last words\n")
    os._exit(5)


def _close_the_pipe() -> None:
    os.close(_answer_fd())
    time.sleep(3600)


def _half_a_frame() -> None:
    os.write(_answer_fd(), _header()[:9])
    os._exit(6)


def _recurse() -> None:
    _recurse()


def _die_in_a_thread() -> None:
    threading.Thread(target=os.abort).start()
    time.sleep(60)


def _stop_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _bad_alloc() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _outgrow_cgroup() -> None:
    """Join the memory cgroup that the test made, and take more than it may have."""
    group = Path(json.loads(os.environ["HARNESS_FAKE"])["cgroup"])
    (group / "cgroup.procs").write_text(str(os.getpid()))
    taken = [bytearray(b"x" * 2**20) for _ in range(4096)]
    raise AssertionError(f"the kernel let {len(taken)} MiB pass")


def _print_garbage() -> None:
    os.write(1, bytes(range(256)) * 4000)
    os.write(2, b"\x1b[2J\x1b]0;title\x07" + b"\xff" * 5000)


def _close_stdout() -> None:
    sys.stdout.close()
    sys.stderr.close()


class _Surprise(BaseException):
    """Not an Exception, as a framework's own exit would be."""


MISDEEDS: dict[str, Callable[[], None]] = {
    "sigterm": _kill_self(signal.SIGTERM),
    "sigill": _kill_self(signal.SIGILL),
    "sigfpe": _kill_self(signal.SIGFPE),
    "sigbus": _kill_self(signal.SIGBUS),
    "sigxcpu": _kill_self(signal.SIGXCPU),
    "clock_jumps": _clock_jumps,
    "hang_aloud": _hang_aloud,
    "real_time_signal": _kill_self(signal.SIGRTMIN + 3),
    "exit_0": lambda: os._exit(0),
    "stop": _stop_itself,
    "replace_handlers": _replace_handlers,
    "children": _children,
    "abort_in_thread": _die_in_a_thread,
    "base_exception": _raise(_Surprise("asked for a surprise")),
    "recursion": _recurse,
    "missing_module": _raise(ModuleNotFoundError("No module named 'fake_kernels'")),
    "long_message": _raise(RuntimeError("long " * 1_000_000)),
    "escapes": _raise(RuntimeError("\x1b[31mred\x1b[0m \ud800 <script>alert(1)</script>\n[bold]markup[/]")),
    "device_out_of_memory": _raise(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    "bad_alloc": _bad_alloc,
    "outgrow_cgroup": _outgrow_cgroup,
    "garbage_on_stdout": _print_garbage,
    "close_stdout": _close_stdout,
    "flood_past_limit": _flood_past_the_limit,
    "close_pipe": _close_the_pipe,
    "half_frame": _half_a_frame,
    "garbage_on_pipe": lambda: _say(b"I tensorflow/core: oneDNN custom operations are on\n"),
    "huge_header": lambda: _say(MAGIC + b"\xff\xff\xff\xff"),
    "not_json": lambda: _say(MAGIC + (8).to_bytes(4, "big") + b"not json"),
    "other_version": lambda: _say(_header(version=99)),
    "huge_array": lambda: _say(_header(arrays=[["a", "float64", [2**30, 2**10]]])),
    "object_array": lambda: _say(_header(arrays=[["a", "object", [1]]])),
    "wrong_kind": lambda: _send("banana", {}),
    "event_without_name": lambda: _send("event", {}),
    "event_unknown": lambda: _send("event", {"party": {}}),
    "event_broken_epoch": lambda: _send("event", {"epoch": {"epoch": "one"}}),
    "event_broken_progress": lambda: _send("event", {"progress": {"epoch": 1, "samples": 1, "loss": "low"}}),
    "empty_result": lambda: _send("result", {}),
    "broken_error": lambda: _send("error", {"status": ["?"], "type": 3, "message": {}, "step": "x", "traceback": 1}),
}
