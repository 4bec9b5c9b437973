"""Being stopped: Ctrl-C once finishes the record keeping, twice stops now; SIGTERM and SIGHUP count as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def stop_like_ctrl_c() -> None:
    """Have a polite request to end (kill, a closed terminal) go the way of Ctrl-C: worker ended, set resumable.

    One that is ignored stays ignored: nohup relies on it.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold the first interrupt back until the block is done; the second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal arrived
        if arrived:
            raise KeyboardInterrupt
        arrived = True

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, hold) for n in numbers if signal.getsignal(n) == signal.default_int_handler}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt
