"""Storage that refuses, met at every write: a real full disk, a real read-only one, a folder that goes away."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.inputs.prepare import prepare_data, run_inputs
from harness.processes.worker_log import WorkerLog
from harness.running.events import Begun, RunEvent
from harness.worker.reports import EpochReport
from results.files import StoreError
from results.report import build
from results.store import ResultSet
from specs.loading import load_recipe
from specs.recipe import Preprocessing
from tests.harness.cli.commands import harness
from tests.harness.plans import TINY, dataset
from tests.reliability.canned import canned_worker
from tests.reliability.sweeps import FakeRun, fake_sweep
from tests.results import records

SAFE = "the records written before are safe, continue with --resume"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fill(disk: Path) -> Path:
    """Take every byte that is left on it; removing the file gives them back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def runs_on(tmp_path: Path, count: int = 3) -> list[FakeRun]:
    python = canned_worker(tmp_path / "canned")
    return [FakeRun(f"run-{number}", {}, {"python": python}) for number in range(count)]


def statuses(folder: Path) -> list[str]:
    rows, damaged = ResultSet.open(folder).rows()
    assert damaged == []
    return [row.status for row in rows]


def test_a_record_that_does_not_fit_leaves_the_others_whole_and_the_sweep_resumes(disk: Path, tmp_path: Path) -> None:
    """The disk fills while the second run trains."""
    folder, runs = disk / "set", runs_on(tmp_path)
    fillers: list[Path] = []
    with fake_sweep(folder, runs) as (sweep, listen):

        def full_in_the_second(event: dict[str, Any]) -> None:
            listen(event)
            if isinstance(event, EpochReport) and len(statuses(folder)) == 1:
                fillers.append(fill(disk))

        with pytest.raises(StoreError) as stopped:
            sweep.run(full_in_the_second, lambda record: None)
    assert "no space left; free some" in str(stopped.value)
    assert str(stopped.value).endswith(SAFE)
    assert len(statuses(folder)) < 3
    fillers[0].unlink()
    with fake_sweep(folder, runs) as (sweep, listen):
        sweep.run(listen, lambda record: None)
    assert statuses(folder) == ["ok"] * 3


def write_inputs(disk: Path) -> None:
    run_inputs(TINY, load_recipe("default"), seed=0, samples=20_000).write(disk / "inputs")


def write_data(disk: Path) -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(disk / "cache"))
        return prepare_data(dataset(), Preprocessing())


def write_set(disk: Path) -> object:
    return ResultSet.create(disk / "new", name="new", study={})


def write_run_folder(disk: Path) -> object:
    return ResultSet.open(disk / "set").run_folder("run-1")


def write_record(disk: Path) -> object:
    return ResultSet.open(disk / "set").append(records.record())


def write_images(disk: Path) -> object:
    return ResultSet.open(disk / "set").save_images("digits", {1: b"png" * 3000})


def write_report(disk: Path) -> object:
    return build([disk / "set"])


def write_log(disk: Path) -> object:
    return WorkerLog(disk / "set" / "worker.log")


WRITES: list[Callable[[Path], object]] = [
    write_inputs,
    write_data,
    write_set,
    write_run_folder,
    write_record,
    write_images,
    write_report,
    write_log,
]


def prepared_set(disk: Path) -> bytes:
    kept = records.write(disk / "set", records.study(models=("mlp",), rounds=1, faults=False))
    return kept.records_file.read_bytes()


@pytest.mark.parametrize("write", [w for w in WRITES if w not in (write_log, write_run_folder)])
def test_no_space_left(write: Callable[[Path], object], disk: Path) -> None:
    before = prepared_set(disk)
    filler = fill(disk)
    with pytest.raises(StoreError, match="no space left") as refused:
        write(disk)
    assert "\n" not in str(refused.value)
    assert (disk / "set" / "records.jsonl").read_bytes() == before
    left = [path for path in disk.rglob("*") if path.name.startswith(".tmp-") or path.name.endswith(".partial")]
    assert left == []
    filler.unlink()
    write(disk)


@pytest.mark.parametrize("write", WRITES)
def test_a_read_only_disk(write: Callable[[Path], object], disk: Path) -> None:
    before = prepared_set(disk)
    with read_only(disk), pytest.raises(StoreError, match="read-only") as refused:
        write(disk)
    assert "\n" not in str(refused.value)
    assert (disk / "set" / "records.jsonl").read_bytes() == before


def test_a_full_disk_costs_log_lines_and_no_run(disk: Path) -> None:
    log = WorkerLog(disk / "worker.log")
    os.write(log.write_fd, b"before\n")
    while (disk / "worker.log").stat().st_size == 0:
        pass
    fill(disk)
    os.write(log.write_fd, b"x" * 10_000 + b"\nafter\n")
    log.started()
    assert log.tail(30).endswith("x\nafter\n")


@pytest.mark.parametrize("when", [Begun, EpochReport])
def test_a_set_that_goes_away_stops_the_sweep_with_one_line(when: type, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with fake_sweep(folder, runs_on(tmp_path)) as (sweep, listen):

        def vanish(event: RunEvent) -> None:
            listen(event)
            if isinstance(event, when):
                shutil.rmtree(folder)

        with pytest.raises(StoreError, match="not there any more") as stopped:
            sweep.run(vanish, lambda record: None)
    assert "\n" not in str(stopped.value)
    assert not folder.exists()


def test_the_command_says_it_in_one_line_and_status_2(disk: Path, tmp_path: Path) -> None:
    fill(disk)
    words = "run --backend numpy --model mlp --dataset digits --limit-train 50 --epochs 1 --quiet --out"
    done = harness(*words.split(), str(disk / "out"), cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "no space left; free some, or choose another place with --out" in line


def test_what_a_killed_process_left_in_the_cache_is_cleared_and_a_broken_cache_named(tmp_path: Path) -> None:
    prepared = prepare_data(dataset(), Preprocessing())
    partial = prepared.folder.parent / f".{prepared.folder.name}.partial"
    partial.mkdir()
    (partial / "train_images.npy").write_bytes(b"half")
    (prepared.folder / "meta.json").unlink()
    again = prepare_data(dataset(), Preprocessing())
    assert again == prepared
    assert not partial.exists()
    with fake_sweep(tmp_path / "set", runs_on(tmp_path, 1)) as (sweep, listen):
        folder = prepare_data(dataset(20), Preprocessing()).folder
        (folder / "test_labels.npy").write_bytes(b"broken")
        with pytest.raises(StoreError, match=r"broken prepared data: delete .*, it is made again"):
            sweep.run(listen, lambda record: None)
