"""What the runs say in plain sentences: who was fastest, whether accuracies are equal, what failed, what to beware of.

Each rule is one short function from an ``Analysis`` to findings, with its threshold named; the findings are collected
once and rendered once, in the reader's language (``results.words``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from results.findings.agreement import agreement
from results.findings.finding import Analysis, Finding, Level
from results.findings.leaving import leaving
from results.findings.outcome import accuracy, memory, targets
from results.findings.places import machines
from results.findings.racing import raced
from results.findings.sameness import sameness
from results.findings.speed import changes, far_slower, fastest, first_step, ladder, wide
from results.findings.trust import (
    damaged,
    failed,
    fingerprints,
    namesakes,
    noisy,
    nonconforming_backends,
    threads,
)

__all__ = ["LEVELS", "Analysis", "Finding", "collect"]

LEVELS: tuple[Level, ...] = get_args(Level)

RULES: tuple[Callable[[Analysis], Iterator[Finding]], ...] = (
    sameness, changes, machines, agreement, raced, fastest, ladder, far_slower, accuracy, leaving, memory, failed,
    nonconforming_backends, namesakes, fingerprints, noisy, threads, first_step, targets, wide, damaged,
)  # fmt: skip


def collect(analysis: Analysis) -> list[Finding]:
    """Every finding, in the order of LEVELS."""
    if analysis.results.runs.empty:
        return [analysis.say("no_runs", "problem"), *damaged(analysis)]
    found = [finding for rule in RULES for finding in rule(analysis)]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))
