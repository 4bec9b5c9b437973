"""What a worker prints, kept within bounds: a framework may print for days and the disk must not fill."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from results.files import explained
from results.store import SAFE

KEPT_BYTES = 32 * 2**20
"""Bytes of the beginning that go to the file; of what follows only the tail is kept."""
TAIL_BYTES = 8000
_CHUNK = 65_536


class WorkerLog:
    """A pipe to be a worker's stdout and stderr, and the thread that empties it; the thread sleeps while it is silent.

    A disk that is full costs log lines and nothing else: the worker goes on, and the tail is kept in memory.
    """

    def __init__(self, file: Path | None) -> None:
        self._file: int | None = None
        if file is not None:
            with explained("write", file, safe=SAFE):
                self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._read_fd, self.write_fd = os.pipe()
        self._kept = 0
        self._left_out = 0
        self._tail = b""
        self._thread = threading.Thread(target=self._drain, name="worker log", daemon=True)
        self._thread.start()

    def started(self) -> None:
        """The worker has the pipe: close our end, so that the thread sees the end of it."""
        os.close(self.write_fd)

    def tail(self, wait_s: float = 0.0) -> str:
        """The last bytes printed; of a worker that has ended, once all of it has arrived (at most ``wait_s``)."""
        self._thread.join(wait_s)
        return self._tail.decode(errors="replace")

    def close(self, wait_s: float) -> None:
        """Wait for the rest and close the file. Something that escaped the worker's group may hold the pipe open."""
        self._thread.join(wait_s)

    def _drain(self) -> None:
        try:
            while data := os.read(self._read_fd, _CHUNK):
                room = KEPT_BYTES - self._kept
                self._write(data[:room])
                self._kept += len(data[:room])
                self._left_out += len(data[room:])
                self._tail = (self._tail + data)[-TAIL_BYTES:]
            if self._left_out:
                note = f"\n[harness: {self._left_out} bytes left out here; the last of them follow]\n"
                self._write(note.encode() + self._tail[-self._left_out :])
        finally:
            os.close(self._read_fd)
            if self._file is not None:
                os.close(self._file)

    def _write(self, data: bytes) -> None:
        if self._file is not None and data:
            with contextlib.suppress(OSError):
                os.write(self._file, data)
