"""Whether a candidate is worse than its base by more than is allowed, by the intervals of ``results.statistics``.

Every figure is a change for the worse: per cent more time or memory, points of accuracy lost. It passes where its
whole interval lies within the limit, and is a regression where the whole interval lies beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

from results.openings import LEAST_OPENINGS, STOPPED_CONFIDENCE
from results.race import Race
from results.record import Row
from results.rounds import MOST, repeats_wanted
from results.statistics import CONFIDENCE, EQUIVALENCE_CONFIDENCE, EQUIVALENCE_SEEDS, equivalence, ratio

Pairs = Sequence[tuple[Row, Row]]
"""Runs of base and candidate that went well, of one seed each."""


class Status(StrEnum):
    """What may be said of a figure. What is not judged neither passes nor fails."""

    PASSED = "passed"
    REGRESSED = "regression"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is allowed: per cent more time, per cent more memory, points of accuracy lost."""

    slowdown: float = 5.0
    memory: float = 10.0
    accuracy_loss: float = 0.5


@dataclass(frozen=True, kw_only=True)
class GateCheck:
    """One figure of a case. ``value``, ``low``, ``high`` and ``limit`` are in ``unit``, "%" or "points".

    ``base`` and ``candidate`` are the figure itself, in ``measure``. ``n`` counts what the interval is over, ``of``
    says what that is, and ``wanted`` is how many of them about would decide, None where that is not known.
    """

    figure: str
    status: Status
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    measure: str = ""
    base: float | None = None
    candidate: float | None = None
    n: int = 0
    of: str = ""
    wanted: int | None = None
    reason: str = ""


def judged(low: float | None, high: float | None, limit: float) -> Status:
    """What an interval of a change for the worse says."""
    if low is None or high is None or low <= limit < high:
        return Status.UNDECIDED
    return Status.REGRESSED if low > limit else Status.PASSED


def time_check(race: Race, limit: float) -> GateCheck:
    """Training time per sample by a race, base and candidate its first two racers; ``limit`` in per cent."""
    base, candidate = race.racers[:2]
    check = GateCheck(
        figure="training time",
        status=Status.UNDECIDED,
        unit="%",
        limit=limit,
        measure="samples/s",
        base=base.rate,
        candidate=candidate.rate,
    )
    size = race.ratio(base, candidate).estimate  # of speeds; of times, turned round
    if size is None or size.low is None or size.high is None:
        out = [f"{name} went out of the race: {one.error}" for name, one in (("base", base), ("candidate", candidate))
               if one.error]  # fmt: skip
        told = len(race.pairs(base, candidate))
        wanted = _for_any(told, len(race.openings))
        return replace(check, n=told, of="openings", wanted=wanted, reason="; ".join(out) or _disturbed(race))
    value, low, high = (100 * (times - 1) for times in (size.median, size.low, size.high))
    openings = len(race.pairs(base, candidate))
    return replace(
        check,
        status=judged(low, high, limit),
        value=value,
        low=low,
        high=high,
        n=openings,
        of="openings",
        wanted=_wanted(value, low, high, limit, openings, STOPPED_CONFIDENCE),
    )


def _for_any(told: int, openings: int) -> int | None:
    """Openings of which about as many as an interval takes have a round that counts; None where none had one so far."""
    return math.ceil(LEAST_OPENINGS * openings / told) if told else None


def _disturbed(race: Race) -> str:
    """Why there are too few rounds."""
    disturbed = sum(racer.disturbed for racer in race.racers)
    turns = disturbed + sum(racer.quiet for racer in race.racers)
    busiest = f" (busiest: {', '.join(race.busiest)})" if race.busiest else ""
    return f"too few quiet rounds: others disturbed {disturbed} of {turns} turns{busiest}"


def memory_check(pairs: Pairs, limit: float) -> GateCheck:
    """Peak memory while training: the device allocator's where it has one, else resident memory."""
    peaks = [(_peak(candidate), _peak(base)) for base, candidate in pairs]
    known = [(its, bases) for its, bases in peaks if its and bases]
    if not known:
        return GateCheck(
            figure="peak memory", status=Status.NOT_JUDGED, unit="%", limit=limit, reason="no peak is known"
        )
    size = ratio(known).estimate
    assert size is not None
    value, low, high = (None if times is None else 100 * (times - 1) for times in (size.median, size.low, size.high))
    status = judged(low, high, limit)
    alone = status is Status.UNDECIDED and low is None
    return GateCheck(
        figure="peak memory", status=status, unit="%", value=value, low=low, high=high, limit=limit, n=size.n,
        of="seeds", measure="MiB", candidate=median(its for its, _ in known), base=median(bases for _, bases in known),
        wanted=EQUIVALENCE_SEEDS if alone else _wanted(value, low, high, limit, size.n, CONFIDENCE),
        reason="one seed has no interval" if alone else "",
    )  # fmt: skip


def _peak(row: Row) -> float | None:
    return row.memory.device_peak_mb or row.memory.peak_rss_mb


def accuracy_check(pairs: Pairs, limit: float) -> GateCheck:
    """Test accuracy at the end of training; ``limit`` in points."""
    known = [(b.test_accuracy, c.test_accuracy) for b, c in pairs if None not in (b.test_accuracy, c.test_accuracy)]
    found = equivalence([c - b for b, c in known if b is not None and c is not None], margin=limit / 100)
    if found is None:
        return GateCheck(
            figure="accuracy", status=Status.NOT_JUDGED, unit="points", limit=limit, reason="none is known"
        )
    value = -100 * found.difference
    low, high = (None if bound is None else -100 * bound for bound in (found.high, found.low))
    few = found.n < EQUIVALENCE_SEEDS
    return GateCheck(
        figure="accuracy", status=judged(low, high, limit), unit="points", value=value, low=low, high=high,
        limit=limit, n=found.n, of="seeds", measure="%",
        base=median(100 * b for b, _ in known if b is not None),
        candidate=median(100 * c for _, c in known if c is not None),
        wanted=EQUIVALENCE_SEEDS if few else _wanted(value, low, high, limit, found.n, EQUIVALENCE_CONFIDENCE),
        reason=f"accuracies are judged from {EQUIVALENCE_SEEDS} seeds on" if few else "",
    )  # fmt: skip


def _wanted(
    value: float | None, low: float | None, high: float | None, limit: float, n: int, confidence: float
) -> int | None:
    """How many repeats about would bring the whole interval to one side of the limit; None where MOST would not."""
    if value is None or low is None or high is None:
        return None
    return repeats_wanted(max(high - value, value - low), abs(value - limit), n, confidence)


def sameness_check(base: Sequence[Row], candidate: Sequence[Row]) -> GateCheck:
    """Whether the candidate computes what NumPy float64 does, as its proof says, where the base did."""
    before, after = ({row.proof.status for row in rows if row.proof is not None} for rows in (base, candidate))
    said = next((row.proof.told for row in candidate if row.proof is not None and row.proof.status == "failed"), "")
    if "failed" in after:
        if before == {"proved"}:
            return GateCheck(figure="sameness", status=Status.REGRESSED, reason=said)
        return GateCheck(figure="sameness", status=Status.UNDECIDED, reason=f"the base is not proved either; {said}")
    if after == {"proved"}:
        return GateCheck(figure="sameness", status=Status.PASSED)
    reasons = [row.proof.reason for row in candidate if row.proof is not None and row.proof.reason]
    return GateCheck(figure="sameness", status=Status.NOT_JUDGED, reason=reasons[0] if reasons else "there is no proof")


def runs_check(base: Sequence[Row], candidate: Sequence[Row]) -> GateCheck:
    """Whether the candidate's runs went well where the base's did."""
    failed = {row.seed: row for row in candidate if row.status != "ok"}
    before = {row.seed: row for row in base if row.status != "ok"}
    if not failed and not before:
        return GateCheck(figure="runs", status=Status.PASSED)
    worse = [row for seed, row in failed.items() if seed not in before]
    row = worse[0] if worse else next(iter(before.values()))
    message = row.error.message if row.error else ""
    return GateCheck(
        figure="runs",
        status=Status.REGRESSED if worse else Status.UNDECIDED,
        reason=f"{'candidate' if worse else 'base'}, seed {row.seed}: {row.status}: {message}",
    )


def longer(check: GateCheck) -> str:
    """How much more would decide an undecided figure; empty where that is not known."""
    if check.status is not Status.UNDECIDED or not check.of:
        return ""
    if check.value is None and check.n == 0:
        return "how much longer it takes hangs on the machine: it must become quieter"
    if check.wanted is None:
        return f"more than {MOST} {check.of} would be needed"
    return f"about {check.wanted} {check.of} in all would decide"
