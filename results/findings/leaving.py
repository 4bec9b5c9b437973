"""Which backends leave the reference while they train, from which step, how far, and what may explain it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from results.findings.finding import Analysis, Finding
from results.formatting import significant
from results.record import Record
from results.summary import Subject
from results.trajectories import gaps, reference_of

LEAVES = 1e-4
"""A training loss is left from the first step on that differs by more than this."""
FAR = 1e-3
"""Only who gets farther away than this is said to have left: float32 alone gets near it in a long training."""
APART = 10.0
"""The others stay where they get less than one so-many-th as far."""


@dataclass(frozen=True)
class _Path:
    subject: Subject
    record: Record
    start: float | None  # the first step beyond LEAVES
    far: float
    farthest: float  # the step where it was farthest


def leaving(analysis: Analysis) -> Iterator[Finding]:
    """Per case, of runs that started alike: who leaves the reference while others stay, or that all leave it."""
    for case in analysis.cases:
        runs = [
            (s, record, record.curve)
            for s, record in analysis.selection.at_common_start(case)
            if record.curve and record.curve.first
        ]
        if len(runs) < 2:
            continue
        reference, expected = reference_of([(s, curve) for s, _, curve in runs], analysis.baseline)
        paths = [_path(s, record, *gaps(curve, expected)) for s, record, curve in runs if s is not reference]
        left = [path for path in paths if path.far > FAR]
        name = analysis.labels.subject(reference.key)
        for path in left:
            rest = max((other.far for other in paths if other is not path), default=None)
            stayed = rest is not None and rest * APART < path.far
            others = analysis.words("others_stay", far=significant(rest, 2)) if stayed and rest is not None else ""
            yield analysis.say(
                "leaves", "warning" if stayed else "note", case, path.subject, reference=name,
                step=f"{path.start or path.farthest:,.0f}", far=significant(path.far, 2),
                farthest=f"{path.farthest:,.0f}", others=others, ties=_ties(analysis, path),
            )  # fmt: skip


def _path(subject: Subject, record: Record, steps: np.ndarray, apart: np.ndarray) -> _Path:
    known = np.nan_to_num(apart)
    beyond = np.flatnonzero(known > LEAVES)
    worst = int(known.argmax()) if len(known) else 0
    start = float(steps[beyond[0]]) if len(beyond) else None
    return _Path(subject, record, start, float(known[worst]), float(steps[worst]))


def _ties(analysis: Analysis, path: _Path) -> str:
    """Whether ties explain it, or what of that is known: the records do not hold the data."""
    standing = analysis.conformance(path.subject.key)
    if path.record.specs is None:
        return analysis.words("ties_unknown")
    if "max_pool" not in json.dumps(path.record.specs.architecture):
        return analysis.words("ties_none")
    proof = path.record.proof
    if proof is not None and proof.status == "proved":
        return analysis.words("ties_proved", steps=proof.steps)
    if standing is None or standing.failures:
        return analysis.words("ties_unchecked")
    return analysis.words("ties_possible", passed=standing.passed)
