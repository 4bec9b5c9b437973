"""The store under faults: kills, full disks, read-only and vanished folders, two writers, other schemas."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.files import TEMPORARY, StoreError, remove_temporary, write_atomic
from results.manifest import BackendConformance
from results.record import Record
from results.store import LINE_LIMIT, ResultSet
from specs.errors import RequestError
from tests.results.records import record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path: Path) -> ResultSet:
    return ResultSet.create(
        tmp_path / "set", name="demo", study={"models": ["mlp"]}, command="python -m harness compare"
    )


THREE = [record(repeat=i, epochs=1, train_samples=512) for i in range(3)]


def numbered(number: int) -> Record:
    return record(repeat=number, epochs=1)


def test_what_is_appended_is_read_back(results: ResultSet) -> None:
    made = [numbered(i) for i in range(5)]
    for one in made:
        results.append(one)
    again = ResultSet.open(results.path)
    assert again.records() == (made, [])
    assert [row.run_id for row in again.rows()[0]] == [one.run_id for one in made]
    assert again.records(only={made[2].run_id}) == ([made[2]], [])
    assert again.manifest.study == {"models": ["mlp"]}
    assert ResultSet.open(results.records_file).path == results.path


def test_a_set_is_never_replaced(results: ResultSet) -> None:
    results.append(numbered(0))
    before = results.records_file.read_bytes()
    with pytest.raises(RequestError, match="already holds a result set: continue it with --resume"):
        ResultSet.create(results.path, name="other", study={})
    assert results.records_file.read_bytes() == before
    assert ResultSet.open(results.path).manifest.name == "demo"


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RequestError, match=r"not empty \(thesis.tex is there\)"):
        ResultSet.create(tmp_path, name="x", study={})


def test_a_creation_killed_half_way_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}123").write_text("{")
    (tmp_path / ".lock").touch()
    assert ResultSet.create(tmp_path, name="x", study={}).rows() == ([], [])


def test_what_is_no_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a result set: there is no"):
        ResultSet.open(tmp_path)
    for content, said in (
        ("{", "not JSON"),
        ("[]", "not a result set"),
        ('{"schema": 1}', "name: Field required"),
        ('{"schema": 7}', "written under schema 7, this harness knows 6: upgrade"),
        ('{"schema": "x"}', "no known schema"),
        ("[" * 100_000, "not JSON"),
    ):
        (tmp_path / "set.json").write_text(content)
        with pytest.raises(RequestError, match=said) as caught:
            ResultSet.open(tmp_path)
        assert "\n" not in str(caught.value)
        assert "set.json" in str(caught.value)


def test_a_line_torn_anywhere_costs_that_record_alone(results: ResultSet) -> None:
    """Whatever part of the last line a kill left behind: readers name it, the next append glues nothing to it."""
    results.append(numbered(0))
    whole = results.records_file.read_bytes()
    line = numbered(1).to_json().encode()
    for length in [*range(1, len(line), 97), len(line) - 1]:
        results.records_file.write_bytes(whole + line[:length])
        rows, damaged = results.rows()
        assert [row.round for row in rows] == [0]
        assert [str(d) for d in damaged] == [
            f"{results.records_file}:2: torn: its writer was killed before the record was whole"
        ]
        results.append(numbered(2))
        assert [row.round for row in results.rows()[0]] == [0, 2]
        assert results.rows()[1] == []


def test_a_record_that_lacks_only_its_newline_is_kept(results: ResultSet) -> None:
    results.append(numbered(0))
    with results.records_file.open("ab") as file:
        file.write(numbered(1).to_json().encode())
    assert len(results.rows()[0]) == 2
    results.append(numbered(2))
    assert [row.round for row in results.rows()[0]] == [0, 1, 2]


def test_damage_in_the_middle_costs_those_lines_alone(results: ResultSet) -> None:
    lines = [numbered(i).to_json().encode() for i in range(4)]
    garbage = [
        b"",
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        lines[0].replace(b'"schema":6', b'"schema":9'),
        lines[1],
        lines[2][:-9],
        b'{"schema": 1, "run_id": ["',
        b"1" * (LINE_LIMIT + 10),
    ]
    results.records_file.write_bytes(b"\n".join([lines[0], *garbage, lines[1], lines[2], lines[1], lines[3]]) + b"\n")
    rows, damaged = results.rows()
    assert [row.round for row in rows] == [0, 1, 2, 3]
    said = {d.line: d.reason for d in damaged}
    assert set(said) == {3, 4, 5, 6, 8, 9, 10, 11, 13}
    assert said[6] == "written under schema 9, this harness knows 6: upgrade the harness to read it"
    assert said[10] == f"longer than {LINE_LIMIT} bytes"
    assert said[11] == said[13] == "run torch-mlp-mnist-s0-r1 has a record already"
    assert said[3].startswith("not a record: Invalid JSON")
    assert results.records()[1] == damaged


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_to_one_line_costs_no_other(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes of the second of three records are replaced, removed or doubled, newlines among them."""
    lines = [one.to_json().encode() + b"\n" for one in THREE]
    line = bytearray(lines[1][:-1])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 40)))
        line[start:end] = data.draw(st.binary(max_size=40) | st.sampled_from([b"\n", b'"', b"}", b"null", b"1e999"]))
    folder = tmp_path_factory.mktemp("damaged")
    results = ResultSet.create(folder, name="x", study={})
    results.records_file.write_bytes(lines[0] + bytes(line) + b"\n" + lines[2])
    for read in (results.rows, results.records):
        found, damaged = read()
        names = [one.run_id for one in found]
        assert names[0] == THREE[0].run_id
        assert names[-1] == THREE[2].run_id
        assert len(names) == 3 or damaged or not bytes(line).strip()
        assert all(d.line > 1 and "\n" not in str(d) for d in damaged)


def test_damage_among_raw_samples_is_found_when_they_are_read(results: ResultSet) -> None:
    line = numbered(0).to_json()
    results.records_file.write_text(line.replace('"curve":{', '"curve":{"surprise":1,') + "\n")
    assert len(results.rows()[0]) == 1
    records, damaged = results.records()
    assert records == []
    assert damaged[0].reason == "not a record: curve.surprise: Extra inputs are not permitted"


def test_raw_samples_lie_beside_the_records(results: ResultSet) -> None:
    made = [numbered(0), numbered(1)]
    for one in made:
        results.append(one)
    slim = results.records_file.read_text()
    for raw in ('"curve"', '"spans"', '"step_ms_samples"'):
        assert raw not in slim
        assert raw in results.samples_file.read_text()
    assert results.records() == (made, [])
    assert [row.run_id for row in results.rows()[0]] == [one.run_id for one in made]


def test_a_set_that_holds_them_within_its_records_is_read_as_it_is(results: ResultSet) -> None:
    old, new = numbered(0), numbered(1)
    results.records_file.write_text(old.to_json() + "\n")
    results.append(new)
    assert results.records() == ([old, new], [])


def test_samples_without_a_record_count_for_nothing(results: ResultSet) -> None:
    """A kill came between the two: the run is made again, and its later samples are the ones that count."""
    first, again = numbered(0), numbered(1).model_copy(update={"run_id": numbered(0).run_id})
    results.append(first)
    results.records_file.unlink()
    results.samples_file.write_bytes(results.samples_file.read_bytes() + b'{"run_id":"lost","curve":{"fi')
    results.append(again)
    assert results.records() == ([again], [])
    assert results.samples_file.read_bytes().count(b"\n") == 2


def test_damaged_samples_cost_no_record(results: ResultSet) -> None:
    made = numbered(0)
    results.append(made)
    results.samples_file.write_text(results.samples_file.read_text().replace('"curve":{', '"curve":{"surprise":1,'))
    records, damaged = results.records()
    assert [(record.run_id, record.curve) for record in records] == [(made.run_id, None)]
    assert f"{results.samples_file}:1: not a record: curve.surprise" in str(damaged[0])
    assert results.rows()[1] == []


def test_a_row_does_not_depend_on_the_order_of_fields(results: ResultSet) -> None:
    made = numbered(0)
    backwards = dict(reversed(json.loads(made.to_json()).items()))
    results.records_file.write_text(json.dumps(backwards, separators=(",", ":")) + "\n")
    assert results.rows()[0][0].test_accuracy == made.test_accuracy
    assert results.records()[0] == [made]


_APPEND_FOR_EVER = """
import itertools, sys
from collections.abc import Iterator
from pathlib import Path
from results.store import ResultSet
from tests.results.records import record
results = ResultSet.open(Path(sys.argv[1]))
made = record(epochs=1)
for number in itertools.count(int(sys.argv[2])):
    results.append(made.model_copy(update={"run_id": f"r{number}"}))
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_loses_no_record_it_had_appended(results: ResultSet) -> None:
    rng = random.Random(7)
    acknowledged: list[int] = []
    for kill in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", _APPEND_FOR_EVER, str(results.path), str(1000 * kill)],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert writer.stdout is not None
        acknowledged.append(int(writer.stdout.readline()))
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line]
        writer.wait()
        writer.stdout.close()
    rows, damaged = results.rows()
    assert len(damaged) <= 1
    assert {f"r{n}" for n in acknowledged} <= {row.run_id for row in rows}
    results.append(numbered(0))
    assert results.rows()[1] == [], "the torn line is cut off by the next append"


def _append_some(path: Path, writer: int) -> None:
    results = ResultSet.open(path)
    for number in range(20):
        results.append(numbered(0).model_copy(update={"run_id": f"w{writer}-{number}"}))


def test_several_writers_at_once_lose_nothing(results: ResultSet) -> None:
    writers = [
        multiprocessing.get_context("spawn").Process(target=_append_some, args=(results.path, w)) for w in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    rows, damaged = results.rows()
    assert damaged == []
    assert sorted(row.run_id for row in rows) == sorted(f"w{w}-{n}" for w in range(3) for n in range(20))


def test_a_set_in_use_is_not_shared(results: ResultSet) -> None:
    with results.claim():
        with pytest.raises(RequestError, match="in use by another harness process"), results.claim():
            pass
        results.append(numbered(0))
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from results.store import ResultSet\n"
         "with ResultSet.open(Path(sys.argv[1])).claim(): print('held', flush=True); sys.stdin.read()",
         str(results.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RequestError, match="in use"), results.claim():
            pass
        holder.kill()
    with results.claim():
        pass  # the lock of a dead process does not count


def test_what_killed_writers_left_is_deleted_and_what_is_being_written_is_not(results: ResultSet) -> None:
    """A process stopped in the middle of writing an image, with the set claimed by another; then it is killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", "import os, signal, sys; from pathlib import Path; from results.store import ResultSet\n"
         "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGSTOP)\n"
         "ResultSet.open(Path(sys.argv[1])).save_images('digits', {1: b'png'})",
         str(results.path)],
        cwd=ROOT,
    )  # fmt: skip
    with writer:
        os.waitpid(writer.pid, os.WUNTRACED)
        folder = results.image_file("digits", 1).parent
        (half,) = folder.iterdir()
        assert half.name.startswith(TEMPORARY)
        (folder / f"{TEMPORARY}link").symlink_to(results.path / "set.json")
        with results.claim():
            assert half.exists(), "its writer lives"
        writer.kill()
    with results.claim():
        assert not half.exists()
    assert results.path.joinpath("set.json").exists()


def test_a_writer_whose_new_file_is_swept_makes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper comes between the making of the temporary file and its lock."""
    real = fcntl.flock
    came: list[int] = []

    def flock(descriptor: int, operation: int) -> None:
        if not came:
            came.append(descriptor)
            remove_temporary(tmp_path)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    write_atomic(tmp_path / "a.json", "whole")
    assert came
    assert (tmp_path / "a.json").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_loses_the_new_record_alone(results: ResultSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes half of the line and then no more."""
    results.append(numbered(0))
    before = results.records_file.read_bytes()
    real, calls = os.write, []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreError, match=r"no space left.*the records written before are safe.*--resume"):
        results.append(numbered(1))
    monkeypatch.undo()
    assert results.records_file.read_bytes() == before
    results.append(numbered(1))
    assert len(results.rows()[0]) == 2


def test_a_really_full_disk(disk: Path) -> None:
    results = ResultSet.create(disk / "set", name="x", study={})
    with pytest.raises(StoreError, match="no space left"):
        for number in range(10_000):
            results.append(numbered(0).model_copy(update={"run_id": f"r-{number}"}))
    rows, damaged = results.rows()
    assert len(rows) > 3
    assert damaged == []
    with pytest.raises(StoreError, match="no space left"):
        write_atomic(results.path / "report.html", b"x" * 2**20)
    assert not [p for p in results.path.iterdir() if p.name.startswith(TEMPORARY)]


def test_a_really_read_only_disk(disk: Path) -> None:
    results = ResultSet.create(disk / "set", name="x", study={})
    results.append(numbered(0))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreError, match="read-only; choose another place with --out; the records written before"):
        results.append(numbered(1))
    with pytest.raises(StoreError, match="read-only"):
        ResultSet.create(disk / "other", name="x", study={})
    assert len(ResultSet.open(results.path).rows()[0]) == 1, "reading needs no writing"


def test_a_vanished_folder_is_not_made_again(results: ResultSet) -> None:
    moved = results.path.with_name("moved")
    results.path.rename(moved)
    with pytest.raises(StoreError, match="not there any more"):
        results.append(numbered(0))
    assert not results.path.exists()


def test_atomic_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "deep" / "report.html"
    write_atomic(file, "first")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=r"cannot write .*report\.html: Input/output error; all is well"):
        write_atomic(file, "second", safe="all is well")
    assert file.read_text() == "first"
    assert list(file.parent.iterdir()) == [file]


def test_images_and_conformance_are_kept(results: ResultSet) -> None:
    results.save_images("../odd name", {3: b"png"})
    file = results.image_file("../odd name", 3)
    assert file.read_bytes() == b"png"
    assert file.is_relative_to(results.path / "images")
    results.save_images("../odd name", {3: b"other"})
    assert file.read_bytes() == b"png"

    assert results.conformance() == {}
    said = {"torch": BackendConformance(framework_version="2.13.0", checked_at="2026-03-01T07:00:00Z", passed=4)}
    results.save_conformance(said)
    assert results.conformance() == said
    (results.path / "conformance.json").write_text(json.dumps({"torch": {"passed": -1}}))
    with pytest.raises(RequestError, match=r"conformance.json: torch"):
        results.conformance()
