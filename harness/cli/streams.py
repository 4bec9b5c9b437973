"""Standard streams that never end a command: in any encoding, closed, full, or a pipe whose reader has gone.

A command's work and its exit status do not hang on who listens. A pipe that nobody reads any more (``| head -1``) and
messages that have no place are let go; a result that stdout cannot take is an error, and the command says so.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class _Tolerant(io.FileIO):
    """A descriptor to write to; after an error it takes everything and keeps nothing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Give the process three open descriptors, and stdout and stderr that take any character and raise nothing.

    A closed descriptor would be taken by the next file that is opened, and what a library prints would end in there.
    Streams that are not the process's own (a test's) are left alone.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    if sys.stdout is sys.__stdout__:
        sys.stdout = _tolerant(sys.stdout, 1, errors="replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _tolerant(sys.stderr, 2, errors="backslashreplace")


def lost_output() -> str | None:
    """Why stdout could not take all that was printed, once it is flushed; None where it could, or nobody reads it."""
    with suppress(ValueError):  # closed
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Tolerant) else None
    if failure is None or isinstance(failure, BrokenPipeError):
        return None
    return failure.strerror or str(failure)


def _tolerant(stream: TextIO | None, descriptor: int, *, errors: str) -> TextIO:
    raw = _Tolerant(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding if stream else "utf-8",
        errors=errors,
        line_buffering=descriptor == 2 or raw.isatty(),
    )
