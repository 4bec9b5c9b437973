"""No malformed record, manifest, study or message of a worker gives a traceback, a hang or a burst of memory.

The YAML loader, IDX and .npz have theirs beside their own tests (tests/specs/test_loading_fuzz.py,
tests/harness/datasets/test_fuzz.py): eleven properties in all, 300 inputs each (3,300) unless HARNESS_FUZZ_EXAMPLES
says otherwise; ``make test-full`` tries 1,000 each (11,000).
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from harness.planning.study import Study, load_study, plans_of
from harness.worker.protocol import MAGIC, MAX_HEADER_BYTES, Channel, ChannelClosed, ChannelTimeout, ProtocolError
from results.store import ResultSet
from specs.errors import RequestError
from tests.fuzz import accepts_or_refuses, fuzz
from tests.results import records

LINE = records.record("torch", "mlp").to_json().encode()
RECORD = json.loads(LINE)
STUDY = Study(name="mine", backends=("numpy",), models=("mlp",), datasets=("digits",)).to_dict()
SMALL = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8)
TREES = st.recursive(SMALL, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(max_size=6), t, max_size=4))
PIECES = st.binary(max_size=6) | st.sampled_from([b"\n", b'"', b"[" * 300, b"{", b"1e999", b"NaN", b"\\ud800", b"\xff"])


@st.composite
def mutated(draw: st.DrawFn, sound: bytes) -> bytes:
    """The sound bytes with some cut out, doubled or replaced."""
    content = sound
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        content = content[:start] + draw(PIECES) + content[end:]
    return content


@st.composite
def replaced(draw: st.DrawFn, sound: dict[str, object]) -> dict[str, object]:
    """The sound data in which some values are others, or gone, or new."""
    keys = st.sampled_from(sorted(sound)) | st.text(max_size=6)
    return {**sound, **draw(st.dictionaries(keys, TREES, min_size=1, max_size=3))}


def read_set(content: bytes) -> None:
    """A set with these bytes between two sound records: both are read, in time, whatever lies between them."""
    with tempfile.TemporaryDirectory() as folder:
        results = ResultSet.create(Path(folder) / "set", name="s", study={})
        first, last = LINE, LINE.replace(RECORD["run_id"].encode(), b"last")
        results.records_file.write_bytes(first + b"\n" + content + b"\n" + last + b"\n")

        def read() -> None:
            for rows, damaged in (results.rows(), results.records()):
                assert {RECORD["run_id"], "last"} <= {row.run_id for row in rows}
                assert all("\n" not in str(line) for line in damaged)

        accepts_or_refuses(read)


@fuzz
@given(mutated(LINE))
def test_a_mutated_record(content: bytes) -> None:
    read_set(content)


@fuzz
@example(json.dumps({**RECORD, "run_id": "x", "a\n\x1b[31m": 1}))  # the name of a field is a stranger's word
@given(replaced(RECORD).map(json.dumps) | TREES.map(json.dumps) | st.text(max_size=50))
def test_any_record(text: str) -> None:
    read_set(text.encode(errors="replace"))


@fuzz
@given(mutated(b'{"schema":1,"name":"s","created":"2026-01-01T00:00:00Z","command":null,"study":{}}'))
def test_a_mutated_manifest(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "set.json").write_bytes(content)
        accepts_or_refuses(lambda: ResultSet.open(Path(folder)))


@fuzz
@given(replaced(STUDY).map(lambda data: yaml.safe_dump(data).encode()) | mutated(yaml.safe_dump(STUDY).encode()))
def test_any_study(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_bytes(content)
        accepts_or_refuses(lambda: plans_of(load_study(path)))


def frame(header: bytes, rest: bytes = b"") -> bytes:
    return MAGIC + len(header).to_bytes(4, "big") + header + rest


HEADER = {"version": 1, "kind": "result", "fields": {"a": [1, 2]}, "arrays": [["x", "float64", [2, 3]]]}
SOUND = frame(json.dumps(HEADER).encode(), bytes(48))
FRAMES = st.one_of(
    mutated(SOUND),
    replaced(HEADER).map(lambda data: frame(json.dumps(data).encode(), bytes(48))),
    TREES.map(lambda tree: frame(json.dumps(tree).encode())),
    st.lists(st.integers(-2, 2**62), max_size=9).map(
        lambda shape: frame(json.dumps({**HEADER, "arrays": [["x", "float64", shape]]}).encode())
    ),
    st.binary(max_size=200),
)


def receive(data: bytes) -> bool:
    read_fd, write_fd = os.pipe()
    channel = Channel(read_fd, os.open(os.devnull, os.O_WRONLY))
    sender = threading.Thread(target=_write_and_close, args=(write_fd, data))
    sender.start()

    def read() -> None:
        try:
            channel.receive(timeout_s=60)
        except (ProtocolError, ChannelClosed, ChannelTimeout) as error:
            raise RequestError(str(error)) from None

    try:
        return accepts_or_refuses(read)
    finally:
        channel.close()
        sender.join()


def _write_and_close(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except BrokenPipeError:
        pass
    finally:
        os.close(descriptor)


def test_the_sound_ones_are_accepted() -> None:
    assert receive(SOUND)
    read_set(b"")


@fuzz
@given(FRAMES)
def test_any_message(data: bytes) -> None:
    receive(data)


def test_the_largest_headers_stay_within_memory() -> None:
    """JSON that takes the most memory for its length, up to the limit and beyond it."""
    for unit in (b"[[]],", b'{"":{}},', b"[],", b'"\xc3\xa9",'):
        body = b"[" + unit * (MAX_HEADER_BYTES // len(unit) - 2) + b"0]"
        assert not receive(frame(body))
    assert not receive(frame(b" " * (MAX_HEADER_BYTES + 1)))
