"""The envelope between parent and worker."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.worker.protocol import MAGIC, Channel, ChannelClosed, ChannelTimeout, ProtocolError


@pytest.fixture
def pipe() -> Iterator[tuple[Channel, Channel]]:
    """(reader, writer): what the second sends, the first receives."""
    read_fd, write_fd = os.pipe()
    unused_read, unused_write = os.pipe()
    reader, writer = Channel(read_fd, unused_write), Channel(unused_read, write_fd)
    yield reader, writer
    reader.close()
    writer.close()


def raw(header: bytes) -> bytes:
    return MAGIC + len(header).to_bytes(4, "big") + header


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_arrays_arrive_unchanged(pipe: tuple[Channel, Channel], dtype: str, shape: tuple[int, ...]) -> None:
    reader, writer = pipe
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    writer.send("result", {"answer": 42, "nan": float("nan")}, {"a": array, "b": array.T})
    message = reader.receive(timeout_s=5)
    assert message.kind == "result"
    assert message.fields["answer"] == 42
    for name, sent in (("a", array), ("b", array.T)):
        got = message.arrays[name]
        assert got.dtype == sent.dtype
        assert got.shape == sent.shape
        np.testing.assert_array_equal(got, sent)


def test_a_message_larger_than_the_pipe(pipe: tuple[Channel, Channel]) -> None:
    reader, writer = pipe
    array = np.random.default_rng(0).random(3_000_000)
    sender = threading.Thread(target=writer.send, args=("result", {}, {"a": array}))
    sender.start()
    np.testing.assert_array_equal(reader.receive(timeout_s=30).arrays["a"], array)
    sender.join()


def test_other_dtypes_do_not_cross(pipe: tuple[Channel, Channel]) -> None:
    with pytest.raises(TypeError, match="'objects' has dtype object"):
        pipe[1].send("result", {}, {"objects": np.array([{}], object)})


def test_silence_ends_in_a_timeout_without_spinning(pipe: tuple[Channel, Channel]) -> None:
    cpu, start = time.process_time(), time.monotonic()
    with pytest.raises(ChannelTimeout):
        pipe[0].receive(timeout_s=0.5)
    assert time.monotonic() - start >= 0.5
    assert time.process_time() - cpu < 0.25


def test_half_a_frame_then_silence_is_a_timeout(pipe: tuple[Channel, Channel]) -> None:
    os.write(pipe[1].write_fd, raw(b"{}")[:7])
    with pytest.raises(ChannelTimeout):
        pipe[0].receive(timeout_s=0.1)


def test_half_a_frame_then_the_end_is_closed(pipe: tuple[Channel, Channel]) -> None:
    os.write(pipe[1].write_fd, raw(b"{}")[:7])
    os.close(pipe[1].write_fd)
    with pytest.raises(ChannelClosed):
        pipe[0].receive(timeout_s=5)
    pipe[1].write_fd = os.open(os.devnull, os.O_WRONLY)


def test_sending_to_nobody_is_closed(pipe: tuple[Channel, Channel]) -> None:
    os.close(pipe[0].read_fd)
    with pytest.raises(ChannelClosed):
        pipe[1].send("exit")
    pipe[0].read_fd = os.open(os.devnull, os.O_RDONLY)


def described(arrays: object) -> bytes:
    return json.dumps({"version": 1, "kind": "k", "fields": {}, "arrays": arrays}).encode()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"printed by a framework\n", "a frame starts with"),
        (MAGIC + b"\xff\xff\xff\xff", "over the limit"),
        (raw(b"not json"), "not JSON"),
        (raw(b"[" * 100_000), "not JSON"),
        (raw(b"[]"), "version"),
        (raw(json.dumps({"version": 2}).encode()), "version"),
        (raw(json.dumps({"version": 1, "kind": 3, "fields": {}, "arrays": []}).encode()), "lacks a kind"),
        (raw(described([["a", "object", [1]]])), "not a description"),
        (raw(described([["a", "float64", [-1]]])), "not a description"),
        (raw(described([["a", "float64", [True]]])), "not a description"),
        (raw(described([["a", "float64", [2**40]]])), "not a description"),
        (raw(described([["a", "float64", [2**30, 2**10]]])), "over the limit"),
        (raw(described([["a", "float64", [1] * 40]])), "not a description"),
    ],
)
def test_malformed_frames_are_refused(pipe: tuple[Channel, Channel], data: bytes, complaint: str) -> None:
    sender = threading.Thread(target=os.write, args=(pipe[1].write_fd, data))
    sender.start()
    with pytest.raises(ProtocolError, match=complaint):
        pipe[0].receive(timeout_s=5)
    sender.join()


ENTRIES = st.lists(st.text() | st.integers() | st.lists(st.integers(), max_size=3), max_size=4)
FRAMES = st.builds(raw, st.binary(max_size=300) | st.builds(described, st.lists(ENTRIES, max_size=3)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | FRAMES)
def test_any_bytes_end_in_a_message_or_a_named_error(data: bytes) -> None:
    read_fd, write_fd = os.pipe()
    channel = Channel(read_fd, os.open(os.devnull, os.O_WRONLY))
    os.write(write_fd, data)
    os.close(write_fd)
    try:
        channel.receive(timeout_s=2)
    except (ProtocolError, ChannelClosed):
        pass  # the two that the launcher turns into records
    finally:
        channel.close()
