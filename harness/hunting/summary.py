"""What a hunt has found so far, counted from what it wrote down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.hunting.hunt import TrialRecord

SLOW_FACTOR, SLOW_S = 100.0, 0.05
"""A prediction is slow that takes so many times what the fastest backend does, and so many seconds at least."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of one backend: how many trials there were and of which status, the known differences, the numbers that are new,
    and those whose prediction was slow.
    """

    backend: str
    trials: int
    agrees: int
    unsupported: int
    skipped: int
    known: Mapping[str, int]
    new: Sequence[TrialRecord]
    slow: Sequence[int]


def summaries(records: Mapping[str, Iterable[TrialRecord]]) -> list[Summary]:
    """One for every backend. ``records`` has each backend's by its name."""
    found = {backend: list(those) for backend, those in records.items()}
    fastest: dict[int, float] = {}
    for record in (record for those in found.values() for record in those):
        if record.predict_s is not None:
            fastest[record.number] = min(fastest.get(record.number, record.predict_s), record.predict_s)
    return [_summary(backend, those, fastest) for backend, those in found.items()]


def _summary(backend: str, records: Sequence[TrialRecord], fastest: Mapping[int, float]) -> Summary:
    status = Counter(record.status for record in records)
    return Summary(
        backend=backend,
        trials=len(records),
        agrees=status["agrees"],
        unsupported=status["unsupported"],
        skipped=status["skipped"],
        known=Counter(record.known for record in records if record.known),
        new=[record for record in records if record.status == "disagrees" and not record.known],
        slow=[
            record.number
            for record in records
            if record.predict_s is not None and record.predict_s > max(SLOW_S, SLOW_FACTOR * fastest[record.number])
        ],
    )
