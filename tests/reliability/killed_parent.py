"""Kills the process that runs a sweep with SIGKILL, again and again, at random moments, and resumes it every time.

``python -m tests.reliability.killed_parent FOLDER KILLS SEED`` prints one line of JSON. This process imports the
harness once and forks each parent from it: a fork is as killable as a process started afresh, and starts in
milliseconds. Four kills of nine land within the writing of a record, after a random part of it, and some
before a file just written has reached the disk: by chance alone these would be too rare to test anything.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from harness.execution.sweep import Sweep
from harness.measuring.machine import machine
from results import store
from results.record import Record
from tests.reliability.canned import canned_worker
from tests.reliability.sweeps import FakeRun, fake_sweep

RUNS = 60
TEMPORARY = ".tmp-"
LONGEST_S = 0.06  # about two runs


def fork_parent(folder: Path, runs: list[FakeRun], generator: random.Random, moment: str) -> int:
    """A process that carries out what remains of the sweep.

    At the ``moment`` "torn" it dies within the writing of a record, "unsynced" before some file is on the disk.
    """
    whole, share = generator.randrange(4), generator.random()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        with fake_sweep(folder, runs) as (sweep, listen), sweep.results.claim():
            if moment == "torn":
                patch.object(store, "_write_all", _Tearing(whole, share)).start()
            if moment == "unsynced":
                patch.object(os, "fsync", _Unsynced(2 * whole)).start()  # a record is a line in two files
            sweep.run(listen, lambda record: None)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Tearing:
    """Writes some lines whole, then a share of one, then dies."""

    def __init__(self, whole: int, share: float) -> None:
        self.whole = whole
        self.share = share

    def __call__(self, descriptor: int, line: bytes) -> None:
        if self.whole:
            self.whole -= 1
            os.write(descriptor, line)
        else:
            os.write(descriptor, line[: int(len(line) * self.share)])
            os.kill(os.getpid(), signal.SIGKILL)


class _Unsynced:
    """Lets some lines reach the disk, then dies before the next does, or before the first whole file does.

    Whole files are written under a temporary name, which such a death leaves: most runs write lines alone.
    """

    def __init__(self, synced: int) -> None:
        self.synced = synced
        self.sync = os.fsync

    def __call__(self, descriptor: int) -> None:
        if not self.synced or TEMPORARY in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            os.kill(os.getpid(), signal.SIGKILL)
        self.synced -= 1
        self.sync(descriptor)


def kill_and_resume(root: Path, kills: int, seed: int) -> dict[str, object]:
    """Until so many kills have landed; raises AssertionError where a set is not as promised."""
    generator = random.Random(seed)
    python = canned_worker(root / "canned")
    runs = [FakeRun(f"run-{number}", {}, {"python": python}) for number in range(RUNS)]
    machine()  # asked once, here, and not by every fork
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        folder = root / f"set-{counts['sets']}"
        while True:
            enough = counts["kills"] >= kills
            before = lines(folder)
            weights = [4, 4, 1] if len(before) > 1 else [1, 0, 5]  # the first run writes the most files
            (moment,) = ["none"] if enough else generator.choices(["any", "torn", "unsynced"], weights)
            pid = fork_parent(folder, runs, generator, moment)
            if moment == "any":
                wait_for_lines(folder, min(RUNS, len(before) + generator.randrange(4)), pid)
                time.sleep(generator.uniform(0, LONGEST_S))
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0, "a parent failed: its traceback is on stderr"
                break
            counts["kills"] += 1
            after = lines(folder)
            counts["torn"] += after[-1] not in (b"", before[-1])
            counts["half written"] += len(left_over(folder))
            for line in after[:-1]:  # whatever the kill left, all lines but the last are whole records
                Record.from_json(line)
        check(folder, runs)
        counts["sets"] += 1
        counts["runs"] += len(runs)
    return dict(counts)


def lines(folder: Path) -> list[bytes]:
    """The lines of the records file; the last one is empty unless it is torn."""
    file = folder / "records.jsonl"
    return file.read_bytes().split(b"\n") if file.exists() else [b""]


def wait_for_lines(folder: Path, count: int, pid: int) -> None:
    """Until the file has so many or the process has ended."""
    while len(lines(folder)) < count and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.001)


def check(folder: Path, runs: list[FakeRun]) -> None:
    """Every planned run exactly once, in order, every line byte for byte what writing its record again gives."""
    content = (folder / "records.jsonl").read_bytes()
    assert content.endswith(b"\n")
    lines = content.splitlines()
    records = [Record.from_json(line) for line in lines]
    assert [record.run_id for record in records] == [run.name for run in runs]
    assert [record.without_samples().encode() for record in records] == lines
    assert {record.status for record in records} == {"ok"}
    for record in records:
        check_images(folder, record)
    with fake_sweep(folder, runs) as (sweep, _):
        assert isinstance(sweep, Sweep)
        assert sweep.remaining() == []
        assert sweep.results.rows()[1] == []
    left = [*left_over(folder), *folder.rglob("inputs")]
    assert left == [], left


def check_images(folder: Path, record: Record) -> None:
    """The images that the record names for the gallery are there."""
    assert record.misclassified
    lost = [m.index for m in record.misclassified if not (folder / "images" / "tiny" / f"{m.index}.png").exists()]
    assert lost == [], f"{record.run_id} is recorded without its images {lost}"


def left_over(folder: Path) -> list[Path]:
    """Files that a killed process has half written."""
    return list(folder.rglob(f"{TEMPORARY}*"))


if __name__ == "__main__":
    print(json.dumps(kill_and_resume(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
