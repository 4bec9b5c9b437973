"""A hunt on one backend: trial after trial until the time is over, each written down as soon as it is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from os import SEEK_END
from pathlib import Path

from backends.registry import Manner
from harness.conformance.judge import Open
from harness.hunting.drawing import drawn_trial
from harness.hunting.finding import write_finding
from harness.hunting.judging import Disagreement, judge_trial
from harness.hunting.known import known
from harness.hunting.shrinking import shrunk
from harness.hunting.trial import Trial
from results.files import explained
from specs.codec import from_plain, to_plain

SHRINK_S = 120.0
"""Seconds that a disagreement may take to be made small."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One line of a hunt: ``number`` of the trial, what became of it, and which known difference that is, if any."""

    number: int
    status: str
    predict_s: float | None = None
    fault: str = ""
    text: str = ""
    known: str = ""


def hunt(
    backend: str,
    folder: Path,
    open_session: Open,
    *,
    tuning: Manner,
    seed: int,
    until: float,
    progress: Callable[[str, TrialRecord], None],
) -> None:
    """Trials in order from where ``folder`` has them, until ``time.monotonic()`` is ``until``. Raises StoreError.

    Every manner has a file of its own: what one has tried says nothing of another.
    """
    done = {record.number for record in records(folder, backend, tuning)}
    for number in count(1):
        if time.monotonic() > until:
            return
        if number in done:
            continue
        record = _tried(backend, folder, open_session, tuning, seed, number)
        with explained("write", folder):
            _append(_lines(folder, backend, tuning), json.dumps(to_plain(record)))
        progress(backend, record)


def records(folder: Path, backend: str, tuning: Manner) -> Iterator[TrialRecord]:
    """What a hunt has written down. A torn last line, of a hunt that was killed, is left out and tried again."""
    place = _lines(folder, backend, tuning)
    if not place.exists():
        return
    with explained("read", place):
        text = place.read_text(encoding="utf-8")
    for line in text.splitlines():
        try:
            yield from_plain(TrialRecord, json.loads(line))
        except ValueError:
            continue


def finding_folder(folder: Path, backend: str, tuning: Manner, number: int) -> Path:
    """Where what a trial has found that is new is written."""
    return folder / "findings" / f"{backend}-{tuning}-{number}"


def _lines(folder: Path, backend: str, tuning: Manner) -> Path:
    return folder / f"{backend}-{tuning}.jsonl"


def _append(place: Path, line: str) -> None:
    """As a line of its own, behind a torn one too."""
    with place.open("a+b") as file:
        if file.tell():
            file.seek(-1, SEEK_END)
            line = line if file.read() == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())


def _tried(backend: str, folder: Path, open_session: Open, tuning: Manner, seed: int, number: int) -> TrialRecord:
    trial = drawn_trial(seed, number)
    verdict = judge_trial(trial, open_session)
    if verdict.disagreement is None:
        return TrialRecord(number=number, status=verdict.status, predict_s=verdict.predict_s)
    small, found = _smallest(trial, verdict.disagreement, open_session)
    difference = known(f"{backend}, {tuning}", small, found)
    if difference is None:
        place = finding_folder(folder, backend, tuning, number)
        write_finding(place, backend, small, found, tuning=tuning, seed=seed, number=number)
    return TrialRecord(
        number=number,
        status="disagrees",
        fault=found.fault,
        text=found.text,
        known=difference.name if difference else "",
    )


def _smallest(trial: Trial, found: Disagreement, open_session: Open) -> tuple[Trial, Disagreement]:
    """The smallest trial with a disagreement of the same class and precision, and that."""
    latest = found

    def shows(simpler: Trial) -> bool:
        nonlocal latest
        verdict = judge_trial(simpler, open_session)
        other = verdict.disagreement
        if other is None or (other.fault, other.precision) != (found.fault, found.precision):
            return False
        latest = other
        return True

    return shrunk(trial, shows, seconds=SHRINK_S), latest
