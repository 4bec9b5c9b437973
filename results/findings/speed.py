"""Who trains fastest, and where a figure of speed wants a second look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backends.registry import REFERENCE
from results.bounds import bounds
from results.columns import CaseKey, SubjectKey
from results.comparison import compare
from results.findings.finding import Analysis, Finding, extent, medians, some, speed
from results.formatting import cell, duration, interval, plain
from results.ladder import RATE, ladders
from results.rounds import MOST, rounds_wanted
from results.statistics import SAME_SPEED, Ratio, Verdict
from results.summary import Case, Subject, pairs, speed_ratio

FIRST_STEP_LEAST_S = 1.0
FIRST_STEP_TIMES = 20.0
"""A first step is worth a note if it takes this long and this many times the median step."""
FAR_SLOWER = 10.0
"""A backend this many times slower than the fastest is probably on a wrong path, not merely slow."""
WIDE_INTERVAL = 0.25
"""Width of an interval, as a share of its median, from which more repeats are worth their time."""


def changes(analysis: Analysis) -> Iterator[Finding]:
    """Of two sets: what became faster, what slower, what stayed and what cannot be compared."""
    if len(analysis.results.sets) != 2:
        return
    said: dict[str, list[str]] = {}
    for row in compare(analysis.results).to_dict("records"):
        case = analysis.labels.case(CaseKey(**{name: row.get(name, "") for name in CaseKey._fields}))
        values = {"case": case, "backend": _changed(analysis, row), "ratio": cell("ratio", row["ratio"]),
                  "interval": interval("ratio", row["ratio_low"], row["ratio_high"]),
                  "reason": analysis.words.reason(row["reason"])}  # fmt: skip
        said.setdefault(row["verdict"], []).append(analysis.words(f"change_{row['verdict']}", **values))
    before, after = (plain(name) for name in analysis.results.names)
    for verdict in Verdict:
        if verdict in said:
            what = some(analysis, said[verdict])
            yield analysis.say(f"changes_{verdict}", "change", before=before, after=after, what=what)


def _changed(analysis: Analysis, row: Mapping[Any, Any]) -> str:
    several = analysis.results.runs["tuning"].nunique() > 1
    name = plain(row["backend"])
    return f"{name} ({analysis.labels.manner(row['tuning'])})" if several else name


def fastest(analysis: Analysis) -> Iterator[Finding]:
    """Per case and manner: the fastest to train, how many times as fast as each of the others, and what cannot be told.

    A backend that failed conformance or its proof has no rank: it may be fast at computing something else. Where a race
    gave a verdict on the case, that counts, and training runs rank nobody.
    """
    for case in analysis.cases:
        if case.key in analysis.races and analysis.races[case.key].ranked:
            continue
        for subjects in case.in_manners():
            ranked = _ranked([s for s in subjects if speed(s) is not None and not nonconforming(analysis, s)])
            if ranked and ranked[1]:
                yield from _ranking(analysis, case, *ranked)


def _ranked(subjects: list[Subject]) -> tuple[Subject, list[tuple[Subject, Ratio]]] | None:
    """The one of the highest rate that no other beats round by round, and the others with the ratio of it to them."""
    order = sorted(subjects, key=lambda s: -(speed(s) or 0.0))
    for best in order:
        ratios = [(other, speed_ratio(best, other, RATE)) for other in order if other is not best]
        if not any(found.verdict is Verdict.SLOWER for _, found in ratios):
            return best, ratios
    return None  # each is beaten by another: they ran in rounds of their own


def _ranking(
    analysis: Analysis, case: Case, best: Subject, others: Sequence[tuple[Subject, Ratio]]
) -> Iterator[Finding]:
    same = [other for other, r in others if r.verdict is Verdict.NO_DIFFERENCE]
    untold = [(other, r) for other, r in others if r.verdict in (Verdict.CANNOT_TELL, Verdict.NOT_COMPARABLE)]
    slower = [
        analysis.words(
            "times_as_fast_as",
            ratio=cell("ratio", r.estimate.median),
            interval=bounds(r.estimate, analysis.words),
            backend=analysis.labels.subject(other.key),
        )
        for other, r in others
        if r.verdict is Verdict.FASTER and r.estimate is not None
    ]
    values = {
        "rate": extent(RATE, medians(best, RATE)),
        "others": analysis.words.join(slower),
        "leaders": analysis.names([best, *same]),
        "margin": f"{100 * (SAME_SPEED - 1):.0f}",
        "rounds": max((r.estimate.n for _, r in others if r.estimate), default=0),
    }
    if same:
        yield analysis.say("level_ahead" if slower else "level", "speed", case, best, **values)
    elif slower:
        yield analysis.say("ahead" if untold else "fastest", "speed", case, best, **values)
    else:
        yield analysis.say("highest", "speed", case, best, **values)
    yield from _undecided(analysis, case, best, untold)


def _undecided(
    analysis: Analysis, case: Case, subject: Subject, others: Sequence[tuple[Subject, Ratio]]
) -> Iterator[Finding]:
    """From whom it cannot be told apart in speed: what is wide, why, and how many rounds more would do."""
    without_interval: dict[str, list[Subject]] = {}
    for other, found in others:
        size = found.estimate
        if size is None or size.low is None:
            without_interval.setdefault(found.reason, []).append(other)
            continue
        wanted = rounds_wanted(size)
        more = (
            analysis.words("too_many_rounds", most=MOST)
            if wanted is None
            else analysis.words("more_rounds", more=wanted - size.n, total=wanted)
        )
        key = "undecided_disturbed" if size.disturbed else "undecided"
        yield analysis.say(
            key, "speed", case, subject, other=analysis.labels.subject(other.key), low=cell("ratio", size.low),
            high=cell("ratio", size.high), rounds=size.n, why=_why(analysis, subject, other), more=more,
        )  # fmt: skip
    for reason, peers in without_interval.items():
        yield analysis.say(
            "single" if reason == "single" else "unpaired", "speed", case, subject,
            reason=analysis.words.reason(reason), others=analysis.names(peers),
        )  # fmt: skip


def _why(analysis: Analysis, first: Subject, second: Subject) -> str:
    """Whose rates vary most from round to round, and how many of its runs were disturbed."""
    both = pairs(first, second, RATE)
    spread = {first: _spread(both["subject"], both["machine"]), second: _spread(both["peer"], both["machine"])}
    uneven = max(spread, key=lambda subject: spread[subject])
    said = analysis.words(
        "uneven", backend=analysis.labels.subject(uneven.key), spread=f"{100 * (math.exp(spread[uneven]) - 1):.0f}"
    )
    if not uneven.noisy:
        return said
    return f"{said} {analysis.words('uneven_disturbed', count=uneven.noisy, runs=len(uneven.ok))}"


def _spread(rates: pd.Series[float], machines: pd.Series[str]) -> float:
    """The standard deviation of the logarithms of some rates, over the machines that have several."""
    spreads = rates.map(math.log).groupby(machines).std()
    return float(np.nanmax(spreads, initial=0.0))


def nonconforming(analysis: Analysis, subject: Subject) -> bool:
    """Whether it failed conformance, or its proof of the case: it has no rank."""
    return subject.disproved or analysis.nonconforming(subject.key)


def ladder(analysis: Analysis) -> Iterator[Finding]:
    """Per case what each manner of using a framework brought over the one below it, where backends ran in several."""
    for case in analysis.cases:
        steps: dict[tuple[str, str], list[tuple[Subject, Subject, Ratio]]] = {}
        for lower, higher, found in (step for one in ladders(case) for step in one.steps()):
            steps.setdefault((lower.key.tuning, higher.key.tuning), []).append((lower, higher, found))
        for (lower_manner, higher_manner), climbed in steps.items():
            told = [
                analysis.words(
                    "ladder_same" if found.verdict is Verdict.NO_DIFFERENCE else "ladder_step",
                    backend=analysis.labels.framework(higher.backend, higher.key.version),
                    ratio=cell("ratio", found.estimate.median),
                    interval=bounds(found.estimate, analysis.words),
                    margin=f"{100 * (SAME_SPEED - 1):.0f}",
                )
                for _, higher, found in climbed
                if found.estimate and found.verdict in (Verdict.FASTER, Verdict.SLOWER, Verdict.NO_DIFFERENCE)
            ]
            if told:
                names = {"lower": analysis.labels.manner(lower_manner), "higher": analysis.labels.manner(higher_manner)}
                yield analysis.say("ladder", "speed", case, climbed[0][1], **names, told=analysis.words.join(told))
            for lower, higher, found in climbed:
                if found.verdict in (Verdict.CANNOT_TELL, Verdict.NOT_COMPARABLE):
                    yield from _undecided(analysis, case, higher, [(lower, found)])


def far_slower(analysis: Analysis) -> Iterator[Finding]:
    """Backends far behind the fastest of the same manner, beyond doubt; the reference in float64 is slow by nature."""
    for case in analysis.cases:
        for manner in case.in_manners():
            subjects = [s for s in manner if speed(s) is not None and s.backend != REFERENCE]
            best = max(subjects, key=lambda s: speed(s) or 0.0, default=None)
            for subject in subjects:
                found = speed_ratio(best, subject, RATE).estimate if best and best is not subject else None
                if found is not None and found.low is not None and found.low >= FAR_SLOWER:
                    yield analysis.say("far_slower", "warning", case, subject, times=cell("ratio", found.median),
                                    interval=bounds(found, analysis.words))  # fmt: skip


def first_step(analysis: Analysis) -> Iterator[Finding]:
    """One finding per subject whose first steps take long, with the cases where they do."""
    slow: dict[str, list[str]] = {}
    for case in analysis.measured:
        for subject in case.subjects:
            first, step = subject.ok["first_step_s"].median(), subject.ok["step_p50_ms"].median()
            if first >= FIRST_STEP_LEAST_S and first * 1000 >= FIRST_STEP_TIMES * step:
                said = analysis.words(
                    "first_step_of",
                    case=analysis.labels.case(case.key),
                    seconds=duration(first),
                    steps=f"{first * 1000 / step:,.0f}",
                )
                slow.setdefault(analysis.labels.subject(subject.key), []).append(said)
    for backend, cases_ in slow.items():
        yield analysis.say("first_step", "note", backend=backend, where=some(analysis, cases_))


def wide(analysis: Analysis) -> Iterator[Finding]:
    """Throughputs whose intervals are so wide that more repeats are worth their time."""
    summary = analysis.summary
    wild = summary["too_disturbed"].str.split().map(lambda names: RATE in names)
    wide = summary[wild | ((summary[f"{RATE}_high"] - summary[f"{RATE}_low"]) / summary[RATE] > WIDE_INTERVAL)]
    if len(wide):
        names = [
            analysis.words("of_case",
                        backend=analysis.labels.subject(SubjectKey(*(row[key] for key in SubjectKey._fields))),
                        case=analysis.labels.case(CaseKey(*(row[key] for key in CaseKey._fields))))
            for _, row in wide.iterrows()
        ]  # fmt: skip
        yield analysis.say("wide", "note", names=some(analysis, names), share=f"{100 * WIDE_INTERVAL:g}")
