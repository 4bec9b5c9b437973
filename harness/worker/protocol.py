"""The envelope in which the parent and a worker speak: one JSON header and raw arrays over a pipe of their own.

A frame is: 4 bytes magic, uint32 big-endian header length, the header (UTF-8 JSON: version, kind, fields and the dtype
and shape of each array), then the arrays' bytes in C order. No pickles: nothing that arrives can execute code, and the
sizes are checked before memory is taken.
"""

from __future__ import annotations

import gc
import json
import math
import os
import select
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
MAGIC = b"FHP1"
MAX_HEADER_BYTES = 4 * 2**20  # JSON takes up to thirty times its length in memory
MAX_ARRAY_BYTES = 8 * 2**30
MAX_ARRAYS = 100_000
_DTYPES = frozenset({"bool", "uint8", "int32", "int64", "float32", "float64"})
_PREFIX = struct.Struct(">4sI")
_CHUNK = 2**20


class ProtocolError(Exception):
    """The bytes that arrived are not a frame of this protocol."""


class ChannelClosed(Exception):
    """The other end closed the pipe (its process ended)."""


class ChannelTimeout(Exception):
    """Nothing, or not a whole frame, arrived in time."""


@dataclass(frozen=True)
class Message:
    """``kind`` is the verb of a request, or "result", "event" or "error" in an answer."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Channel:
    """Messages over a pair of file descriptors. Not thread-safe; reading waits in poll, never spins."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    def send(self, kind: str, fields: Mapping[str, Any] | None = None, arrays: Mapping[str, Any] | None = None) -> None:
        """Write one frame. Raises ChannelClosed when nobody reads any more, TypeError for an array of another dtype."""
        given = {name: np.asarray(array) for name, array in (arrays or {}).items()}
        for name, array in given.items():
            if array.dtype.name not in _DTYPES:
                raise TypeError(f"array {name!r} has dtype {array.dtype}, which does not cross the pipe")
        header = {
            "version": VERSION,
            "kind": kind,
            "fields": dict(fields or {}),
            "arrays": [[name, array.dtype.name, list(array.shape)] for name, array in given.items()],
        }
        encoded = json.dumps(header).encode()
        try:
            self._write(_PREFIX.pack(MAGIC, len(encoded)) + encoded)
            for array in given.values():
                if array.size:
                    self._write(_bytes_of(np.ascontiguousarray(array)))
        except BrokenPipeError as error:
            raise ChannelClosed("the other end of the pipe is closed") from error

    def receive(self, timeout_s: float | None = None) -> Message:
        """Read one frame, waiting at most ``timeout_s`` seconds for all of it (None: for ever).

        Raises ChannelClosed at the end of the stream, ChannelTimeout, or ProtocolError for anything malformed.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        magic, length = _PREFIX.unpack(self._read(_PREFIX.size, deadline))
        if magic != MAGIC:
            raise ProtocolError(f"a frame starts with {MAGIC!r}, got {magic!r}")
        if length > MAX_HEADER_BYTES:
            raise ProtocolError(f"a header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
        kind, fields, layout = _parse_header(bytes(self._read(length, deadline)))
        arrays = {}
        for name, dtype, shape in layout:
            try:
                array = np.empty(shape, dtype)
            except (MemoryError, ValueError) as error:
                raise ProtocolError(f"array {name[:80]!r} {shape}: {error}") from None
            if array.size:
                self._read_into(_bytes_of(array), deadline)
            arrays[name] = array
        return Message(kind, fields, arrays)

    def close(self) -> None:
        """Close both descriptors."""
        for fd in {self.read_fd, self.write_fd}:
            try:
                os.close(fd)
            except OSError:  # already closed
                continue

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.write_fd, view[:_CHUNK]) :]

    def _read(self, size: int, deadline: float | None) -> bytearray:
        buffer = bytearray(size)
        if size:
            self._read_into(memoryview(buffer), deadline)
        return buffer

    def _read_into(self, view: memoryview, deadline: float | None) -> None:
        poll = select.poll()
        poll.register(self.read_fd, select.POLLIN | select.POLLHUP)
        while view:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poll.poll(left):
                raise ChannelTimeout("nothing arrived in time")
            count = os.readv(self.read_fd, [view[:_CHUNK]])
            if count == 0:
                raise ChannelClosed("the other end of the pipe is closed")
            view = view[count:]


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, shared with it."""
    return array.reshape(-1).view(np.uint8).data


def _parse_header(data: bytes) -> tuple[str, dict[str, Any], list[tuple[str, str, tuple[int, ...]]]]:
    collecting = gc.isenabled()
    gc.disable()  # JSON holds no cycles, and looking for some takes most of the time of reading a large header
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the header is not JSON: {error}") from None
    finally:
        if collecting:
            gc.enable()
    if not isinstance(header, dict) or header.get("version") != VERSION:
        raise ProtocolError(f"expected a header of version {VERSION}")
    kind, fields, arrays = header.get("kind"), header.get("fields"), header.get("arrays")
    if not isinstance(kind, str) or not isinstance(fields, dict) or not isinstance(arrays, list):
        raise ProtocolError("the header lacks a kind, fields or arrays")
    if len(arrays) > MAX_ARRAYS:
        raise ProtocolError(f"{len(arrays)} arrays are over the limit of {MAX_ARRAYS}")
    layout = [_parse_array(entry) for entry in arrays]
    total = sum(math.prod(shape) * np.dtype(dtype).itemsize for _, dtype, shape in layout)
    if total > MAX_ARRAY_BYTES:
        raise ProtocolError(f"arrays of {total} bytes are over the limit of {MAX_ARRAY_BYTES}")
    return kind, fields, layout


def _parse_array(entry: Any) -> tuple[str, str, tuple[int, ...]]:
    match entry:
        case [str(name), str(dtype), list(shape)] if dtype in _DTYPES and len(shape) <= 8:
            if all(type(size) is int and 0 <= size <= MAX_ARRAY_BYTES for size in shape):
                return name, dtype, tuple(shape)
    raise ProtocolError(f"not a description of an array: {str(entry)[:80]!r}")
