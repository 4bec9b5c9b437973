"""A result set: a folder that holds the records of a study and everything derived from them.

    set.json          what it is: schema, name, time of creation, the study, what was asked before it grew
    records.jsonl     one record a line, appended as runs end, never rewritten
    samples.jsonl     the raw samples of each run (spans, single steps, losses), which no table needs; sets of before
                      schema 3 have them within their records
    runs/RUN_ID/      a run's log
    checkpoints/RUN_ID/   a run's trained network (see harness.checkpoints)
    images/DATASET/   test images that were misclassified, for the report's gallery
    races/            a file for each race by turns (see results.race)
    conformance.json  what the conformance suite last said of each backend
    tables/ plots/ report.html report.md   derived: made again from the records by ``report``

Storage is crash-only. A record is one write followed by fsync; a kill at any moment leaves whole lines and at most one
torn line at the end, which readers skip and name and the next append cuts off. Derived files appear whole by rename;
the next to claim the set deletes what a kill left of them.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import filelock
from pydantic import BaseModel, Field, ValidationError

from results.collector import paused
from results.files import TEMPORARY, StoreError, explained, read_bounded, remove_temporary, sync_folder, write_atomic
from results.manifest import (
    BackendConformance,
    SetManifest,
    first_problem,
    other_schema,
    read_conformance,
    write_conformance,
)
from results.race import Race
from results.record import SCHEMA, Record, Row, Samples, Schema
from specs.errors import RequestError

log = logging.getLogger(__name__)

LINE_LIMIT = 8 * 2**20
"""Bytes of the longest line that is read as a record."""
LOCK_SECONDS = 30.0
SAFE = "the records written before are safe, continue with --resume"
_LOCK = ".lock"
_CLAIM = ".claim"
_RUN_ID = re.compile(rb'"run_id":\s*"([A-Za-z0-9._+-]+)"')
_R = TypeVar("_R", bound=Row)


@dataclass(frozen=True)
class Damaged:
    """A line that is no record: where it is and why."""

    file: Path
    line: int
    reason: str
    foreign: bool = False  # written under a schema that is not known

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class ResultSet:
    """A result set on disk. Made by ``create`` or ``open``; holds no open file, so it may be kept for days."""

    def __init__(self, path: Path, manifest: SetManifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, path: Path, *, name: str, study: Mapping[str, Any], command: str | None = None) -> ResultSet:
        """A new set in the folder ``path``, which is made.

        Other sets may lie in it, in folders of their own. Raises RequestError where a set or anything else is there
        already (none is ever replaced), StoreError where the storage refuses.
        """
        manifest = SetManifest.new(name, study, command)
        with explained("create the result set", path):
            path.mkdir(parents=True, exist_ok=True)
            with _lock(path):
                occupants = {p.name for p in path.iterdir() if not _belongs(p)}
                if "set.json" in occupants:
                    raise RequestError(
                        f"{path} already holds a result set: continue it with --resume, or choose another --name"
                    )
                if occupants:
                    raise RequestError(f"{path} is not empty ({min(occupants)} is there): choose another place")
                manifest.write(path / "set.json")
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path) -> ResultSet:
        """The set at ``path``: its folder, or its set.json or records.jsonl.

        Raises RequestError where there is none or where it was written under another schema.
        """
        folder = path.parent if path.name in {"records.jsonl", "set.json"} else path
        if not (folder / "set.json").is_file():
            raise RequestError(f"{path} is not a result set: there is no {folder / 'set.json'}")
        return cls(folder, SetManifest.read(folder / "set.json"))

    @classmethod
    def open_or_create(cls, path: Path, *, name: str) -> ResultSet:
        """The set at ``path``, made if it is not there: where single runs land. Two processes may come at once."""
        if not (path / "set.json").is_file():
            try:
                return cls.create(path, name=name, study={})
            except RequestError:
                if not (path / "set.json").is_file():
                    raise
        return cls.open(path)

    @property
    def records_file(self) -> Path:
        """The records, one JSON object a line."""
        return self.path / "records.jsonl"

    @property
    def samples_file(self) -> Path:
        """The raw samples of the runs, one JSON object a line; of two of one run the last counts."""
        return self.path / "samples.jsonl"

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the set while a sweep runs. Raises RequestError where another process holds it.

        The kernel drops the lock with its process, so one left behind by a dead process does not count; the files that
        such a process left half written are deleted.
        """
        lock = filelock.FileLock(self.path / _CLAIM, timeout=0)
        with explained("lock", self.path):
            try:
                lock.acquire()
            except filelock.Timeout:
                raise RequestError(
                    f"{self.path} is in use by another harness process: wait for it, or choose another --name"
                ) from None
        try:
            remove_temporary(self.path)
            yield
        finally:
            lock.release()

    def grow(self, study: Mapping[str, Any], command: str) -> None:
        """Have the set say that ``study`` is asked of it; nothing is written where it was. Raises StoreError."""
        if dict(study) == self.manifest.study:
            return
        self._still_there(self.path / "set.json")
        self.manifest = self.manifest.grown(study, command)
        self.manifest.write(self.path / "set.json")

    def append(self, record: Record) -> None:
        """Add a record durably: once this returns it survives a power cut. Raises StoreError; then none was added."""
        line, samples = (text.encode() + b"\n" for text in (record.without_samples(), record.samples.model_dump_json()))
        if (size := max(len(line), len(samples))) > LINE_LIMIT:
            raise StoreError(f"the record of run {record.run_id} takes {size} bytes, more than {LINE_LIMIT}")
        self._still_there(self.records_file)
        with explained("write", self.records_file, safe=SAFE), _lock(self.path):
            self._append(self.samples_file, samples, Samples)  # a kill in between leaves samples of no record
            self._append(self.records_file, line, Record)

    def _append(self, file: Path, line: bytes, model: type[BaseModel]) -> None:
        created = not file.exists()
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            end = self._mend(descriptor, file, model)
            try:
                _write_all(descriptor, line)
                os.fsync(descriptor)
            except BaseException:
                with suppress(OSError):  # what cannot be cut off now, the next append cuts off
                    os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        if created:
            sync_folder(self.path)

    def _mend(self, descriptor: int, file: Path, model: type[BaseModel]) -> int:
        """Make the file end in a whole line; returns its size.

        A killed writer leaves a line without its newline. A record that lacks nothing else gets it; a torn one is cut
        off (its run has no record, so --resume runs it again).
        """
        size = os.fstat(descriptor).st_size
        start = _last_line_start(descriptor, size)
        if start == size:
            return size
        if size - start <= LINE_LIMIT and not _is_whole(model, os.pread(descriptor, size - start, start)):
            log.warning("%s: cut off a record torn by a killed process (%d bytes)", file, size - start)
            os.ftruncate(descriptor, start)
            return start
        _write_all(descriptor, b"\n")
        return size + 1

    def rows(self) -> tuple[list[Row], list[Damaged]]:
        """Every record without its raw samples, in file order, and the lines that are no record.

        Fast: 10,000 take under a second. The raw samples are not looked at, so that what is wrong with them comes out
        in ``records`` alone.
        """
        return self._read(Row)

    def records(self, only: Container[str] | None = None) -> tuple[list[Record], list[Damaged]]:
        """Every record whole, or ``only`` those of some run_ids, in file order, and the lines that are no record."""
        records, damaged = self._read(Record, only)
        samples, torn = self._samples({record.run_id for record in records})
        whole = [record.with_samples(samples[r]) if (r := record.run_id) in samples else record for record in records]
        return whole, [*damaged, *torn]

    def _samples(self, wanted: Container[str]) -> tuple[dict[str, Samples], list[Damaged]]:
        found: dict[str, Samples] = {}
        damaged: list[Damaged] = []
        with paused():
            for number, line in _lines(self.samples_file):
                if (named := _RUN_ID.search(line)) and named[1].decode() not in wanted:
                    continue
                try:
                    samples = Samples.model_validate_json(line)
                except ValidationError as error:
                    damaged.append(Damaged(self.samples_file, number, *_reason(line, error)))
                    continue
                found[samples.run_id] = samples
        return found, damaged

    def _read(self, model: type[_R], only: Container[str] | None = None) -> tuple[list[_R], list[Damaged]]:
        rows: dict[str, _R] = {}
        damaged: list[Damaged] = []
        with paused():
            for number, line in _lines(self.records_file):
                if only is not None and (named := _RUN_ID.search(line)) and named[1].decode() not in only:
                    continue
                try:
                    row = model.model_validate_json(line)
                except ValidationError as error:
                    damaged.append(Damaged(self.records_file, number, *_reason(line, error)))
                    continue
                if row.run_id in rows:
                    damaged.append(Damaged(self.records_file, number, f"run {row.run_id} has a record already"))
                    continue
                rows[row.run_id] = row
        return list(rows.values()), damaged

    def run_folder(self, run_id: str) -> Path:
        """The folder of a run's log, made if it is not there.

        Raises StoreError, also where a link leads out of the set: a stranger's set may be resumed.
        """
        folder = self.path / "runs" / run_id
        self._still_there(folder)
        with explained("make", folder, safe=SAFE):
            folder.mkdir(parents=True, exist_ok=True)
            self._inside(folder)
            self._inside(folder / "worker.log")
        return folder

    def checkpoint_folder(self, run_id: str) -> Path:
        """Where the checkpoint of a run belongs; not made. Raises StoreError where a link leads out of the set."""
        folder = self.path / "checkpoints" / run_id
        self._inside(folder)
        return folder

    def _still_there(self, wanted: Path) -> None:
        if not (self.path / "set.json").is_file():  # making what is wanted would make the folder again
            raise StoreError(
                f"cannot write {wanted}: the result set is not there any more; start again with another --out"
            )

    def _inside(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise StoreError(f"{path} is a link that leads out of the result set: remove it")

    def save_images(self, dataset: str, images: Mapping[int, bytes]) -> None:
        """Keep test images, PNG bytes by index, for the gallery; those there already stay. Raises StoreError."""
        for index, png in images.items():
            file = self.image_file(dataset, index)
            self._still_there(file)
            self._inside(file)
            if not file.exists():
                write_atomic(file, png, safe=SAFE)

    def image_file(self, dataset: str, index: int) -> Path:
        """Where the PNG of a test image is kept; a dataset's name cannot lead out of the folder."""
        folder = "".join(c if c.isalnum() or c in "-_" else "_" for c in dataset)
        return self.path / "images" / folder / f"{index}.png"

    def save_conformance(self, conformance: Mapping[str, BackendConformance]) -> None:
        """Keep what the conformance suite says of each backend. Raises StoreError."""
        write_conformance(self.path / "conformance.json", conformance)

    def save_race(self, race: Race) -> None:
        """Keep a race beside those there. Raises StoreError."""
        folder = self.path / "races"
        self._still_there(folder)
        self._inside(folder)
        with _lock(self.path):
            number = 1 + max((int(file.stem) for file in _races(folder)), default=0)
            write_atomic(folder / f"{number:04}.json", race.to_json() + "\n", safe=SAFE)

    def races(self) -> tuple[list[Race], list[Damaged]]:
        """Every race in the order of racing, and the files that are none."""
        found: list[Race] = []
        damaged: list[Damaged] = []
        for file in _races(self.path / "races"):
            try:
                found.append(Race.model_validate_json(read_bounded(file, LINE_LIMIT)))
            except ValidationError as error:
                damaged.append(Damaged(file, 1, f"not a race: {first_problem(error)}"))
        return found, damaged

    def conformance(self) -> dict[str, BackendConformance]:
        """What was kept of the conformance suite, by backend; empty where nothing was."""
        return read_conformance(self.path / "conformance.json")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not blank; of an overlong one the first LINE_LIMIT bytes."""
    if not path.exists():
        return
    with explained("read", path), path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_LIMIT):
            number += 1
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(LINE_LIMIT)
            if line.strip():
                yield number, line


def _races(folder: Path) -> list[Path]:
    return sorted((file for file in folder.glob("*.json") if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _belongs(path: Path) -> bool:
    """Whether what lies where a set shall be made is in nobody's way."""
    return path.name == _LOCK or path.name.startswith(TEMPORARY) or (path / "set.json").is_file()


def _lock(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder / _LOCK, timeout=LOCK_SECONDS)


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; only where the system takes less than all of it (a disk filling up, a signal) there are more."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _last_line_start(descriptor: int, size: int) -> int:
    """The offset behind the last newline."""
    end = size
    while end > 0:
        start = max(0, end - 65_536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _is_whole(model: type[BaseModel], line: bytes) -> bool:
    try:
        model.model_validate_json(line)
    except ValidationError:
        return False
    return True


_PLACE = re.compile(r" at line \d+ column \d+$")  # within the line, where the line in the file is named already


class _Schema(BaseModel):
    schema_version: int = Field(alias="schema")


def _reason(line: bytes, error: ValidationError) -> tuple[str, bool]:
    """Why a line is no record, and whether it is one of a schema that is not known."""
    if len(line) == LINE_LIMIT:
        return f"longer than {LINE_LIMIT} bytes", False
    if not line.endswith(b"\n"):
        return "torn: its writer was killed before the record was whole", False
    try:
        schema = _Schema.model_validate_json(line).schema_version
    except ValidationError:
        schema = SCHEMA
    if schema in get_args(Schema):
        return f"not a record: {_PLACE.sub('', first_problem(error))}", False
    return other_schema(schema), True
