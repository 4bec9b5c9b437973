"""A hunt on one backend: trial after trial until the time is over, each written down as soon as it is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

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
    seed: int,
    until: float,
    progress: Callable[[str, TrialRecord], None],
) -> None:
    """Trials in order from where ``folder`` has them, until ``time.monotonic()`` is ``until``. Raises StoreError."""
    done = {record.number for record in records(folder, backend)}
    for number in count(1):
        if time.monotonic() > until:
            return
        if number in done:
            continue
        record = _tried(backend, folder, open_session, seed, number)
        with explained("write", folder), _lines(folder, backend).open("a", encoding="utf-8") as file:
            file.write(json.dumps(to_plain(record)) + "\n")
        progress(backend, record)


def records(folder: Path, backend: str) -> Iterator[TrialRecord]:
    """What a hunt has written down. A torn last line, of a hunt that was killed, is left out and tried again."""
    place = _lines(folder, backend)
    if not place.exists():
        return
    with explained("read", place):
        text = place.read_text(encoding="utf-8")
    for line in text.splitlines():
        try:
            yield from_plain(TrialRecord, json.loads(line))
        except ValueError:
            continue


def _lines(folder: Path, backend: str) -> Path:
    return folder / f"{backend}.jsonl"


def _tried(backend: str, folder: Path, open_session: Open, seed: int, number: int) -> TrialRecord:
    trial = drawn_trial(seed, number)
    verdict = judge_trial(trial, open_session)
    if verdict.disagreement is None:
        return TrialRecord(number=number, status=verdict.status, predict_s=verdict.predict_s)
    small, found = _smallest(trial, verdict.disagreement, open_session)
    difference = known(backend, small, found)
    if difference is None:
        write_finding(folder / "findings" / f"{backend}-{number}", backend, small, found, seed=seed, number=number)
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
