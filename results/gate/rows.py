"""A gate's checks as rows of text: the same in the terminal's table and in the Markdown summary."""

from __future__ import annotations

from collections.abc import Iterator

from results.formatting import ABSENT, cell, duration, plain, significant
from results.gate.checks import GateCheck, Status, longer
from results.gate.outcome import CaseOutcome, Gate

COLUMNS = ("model", "data set", "figure", "base", "candidate", "change", "95 % interval", "limit", "verdict")
_COLUMN = {"samples/s": "train_samples_per_second", "MiB": "peak_rss_mb"}


def rows(gate: Gate) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each check."""
    return [(plain(case.model), plain(case.dataset), *_row(check)) for case in gate.cases for check in case.checks]


def _row(check: GateCheck) -> tuple[str, ...]:
    bounds = "" if check.low is None or check.high is None else f"{_signed(check.low)} to {_signed(check.high)}"
    limit = "" if check.limit is None else f"{check.limit:g} {check.unit}"
    change = ABSENT if check.value is None else f"{_signed(check.value)} {check.unit}"
    return check.figure, _side(check, check.base), _side(check, check.candidate), change, bounds, limit, check.status


def _side(check: GateCheck, value: float | None) -> str:
    if value is None:
        return ABSENT
    shown = f"{value:.2f}" if check.measure == "%" else cell(_COLUMN[check.measure], value)
    return f"{shown} {check.measure}"


def _signed(value: float) -> str:
    """With its sign: above 0 is worse."""
    return f"{'−' if value < 0 else '+'}{significant(abs(value), 2 if abs(value) < 10 else 3)}"


def sentences(gate: Gate) -> Iterator[str]:
    """What a reader wants to know beside the rows: what regressed, in which layer; what is undecided and why."""
    for case in gate.cases:
        for check in case.checks:
            if said := _said(case, check):
                yield f"{plain(case.model)} on {plain(case.dataset)}, {check.figure}: {said}"
        if case.layers is not None:
            yield f"{plain(case.model)} on {plain(case.dataset)}, layers: {case.layers.said}"


def _said(case: CaseOutcome, check: GateCheck) -> str:
    parts = [plain(check.reason)] if check.reason else []
    if check.status is Status.REGRESSED and check.value is not None and check.low is not None:
        parts.append(f"{_signed(check.value)} {check.unit}, at least {_signed(check.low)}; {check.limit:g} is allowed")
    if check.status is Status.UNDECIDED:
        parts += [more] if (more := longer(check)) else []
        parts += [_time(case)] if check.of == "openings" and case.more_s is not None else []
    if parts or check.status in (Status.REGRESSED, Status.UNDECIDED):
        return f"{check.status}: {'; '.join(parts)}" if parts else str(check.status)
    return ""


def _time(case: CaseOutcome) -> str:
    assert case.more_s is not None
    budget = "" if case.budget_s is None else f" (--budget {case.budget_s:.0f})"
    return f"about {duration(case.more_s)} more{budget}"
