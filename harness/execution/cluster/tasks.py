"""What Dask carries out on a machine: an order handed to the machine's own process, which is ended when nobody waits.

Orders, answers and what is told on the way are bytes of JSON and plain data. Dask's part is to bring them, and to give
a machine to one driver at a time.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

from distributed import Status, Worker, get_worker

from harness.execution.cluster.logs import be_quiet
from harness.execution.orders import Failed, answer_bytes
from harness.execution.process import MachineDied, MachineProcess, Unwanted

RESOURCE = "machine"
"""Every worker has one of it, and every order takes one: nothing else is timed there at the same time."""

_process = MachineProcess()
_one_at_a_time = threading.Lock()
_now: dict[str, Any] = {}


def dask_setup(worker: Worker) -> None:
    """Dask calls this in a worker process that starts.

    Ctrl-C at the terminal is for the process that started it, which ends it: alone it would end with a traceback.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that came before, while it was held back, too
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    be_quiet()


def perform(request: bytes, blob: bytes | None = None) -> bytes:
    """Answer a ``request``; nothing where the driver has gone meanwhile. It is told of the progress by topic."""
    asked = json.loads(request)
    worker = get_worker()
    task = worker.get_current_task()

    def tell(doing: str, note: str) -> None:
        _now.update(doing=doing, note=note)
        worker.log_event(asked["topic"], {"machine": str(worker.name), "doing": doing, "note": note})

    def wanted() -> bool:
        known = worker.state.tasks.get(task)
        there = worker.status in (Status.running, Status.paused)  # not where it lost its scheduler
        return there and known is not None and known.state == "executing"

    with _one_at_a_time:
        _now.update(comparison=asked["comparison"], unit=asked["unit"], since=time.monotonic())
        try:
            return _process.ask(asked["order"].encode(), blob, tell, wanted)
        except MachineDied as death:
            return answer_bytes(Failed(reason=str(death)))
        except Unwanted:
            return b""
        finally:
            _now.clear()


def request_bytes(order: bytes, *, topic: str, comparison: str, unit: str) -> bytes:
    """What ``perform`` takes."""
    return json.dumps({"order": order.decode(), "topic": topic, "comparison": comparison, "unit": unit}).encode()


def standing() -> dict[str, Any]:
    """What the machine is, has and does now, as plain data."""
    from harness.execution.cluster.having import what_is_here

    now = dict(_now)
    return {**what_is_here(), "now": now, "busy_s": time.monotonic() - now["since"] if now else 0.0}
