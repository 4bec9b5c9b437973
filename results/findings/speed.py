"""Who trains fastest, and where a figure of speed wants a second look."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from results.columns import CaseKey, SubjectKey
from results.comparison import compare
from results.findings.finding import Finding, Study, some, speed
from results.formatting import cell, duration, figure, interval, plain
from results.statistics import Ratio, Verdict
from results.summary import Subject, speed_ratio

FIRST_STEP_LEAST_S = 1.0
FIRST_STEP_TIMES = 20.0
"""A first step is worth a note if it takes this long and this many times the median step."""
FAR_SLOWER = 10.0
"""A backend this many times slower than the fastest is probably on a wrong path, not merely slow."""
WIDE_INTERVAL = 0.25
"""Width of an interval, as a share of its median, from which more repeats are worth their time."""
LEVEL_WIDTH = 1.5
"""Upper over lower bound of a ratio up to which "no difference" may be called equally fast."""


def changes(study: Study) -> Iterator[Finding]:
    """Of two sets: what became faster, what slower, what stayed and what cannot be compared."""
    if len(study.results.sets) != 2:
        return
    said: dict[str, list[str]] = {}
    for row in compare(study.results).to_dict("records"):
        case = study.labels.case(CaseKey(**{name: row.get(name, "") for name in CaseKey._fields}))
        values = {"case": case, "backend": plain(row["backend"]), "ratio": cell("ratio", row["ratio"]),
                  "interval": interval("ratio", row["ratio_low"], row["ratio_high"]),
                  "reason": study.words.reason(row["reason"])}  # fmt: skip
        said.setdefault(row["verdict"], []).append(study.words(f"change_{row['verdict']}", **values))
    before, after = (plain(name) for name in study.results.names)
    for verdict in Verdict:
        if verdict in said:
            what = some(study, pd.Series(said[verdict]))
            yield study.say(f"changes_{verdict}", "change", before=before, after=after, what=what)


def fastest(study: Study) -> Iterator[Finding]:
    """Per case: the fastest to train, and how many times as fast as each of the others.

    A backend that failed conformance has no rank: it may be fast at computing something else.
    """
    for case in study.cases:
        ranked = [s for s in case.subjects if speed(s) is not None and not _nonconforming(study, s)]
        ranked.sort(key=lambda s: -(speed(s) or 0.0))
        if len(ranked) < 2:
            continue
        best = ranked[0]
        ratios = [(other, speed_ratio(best, other, "train_samples_per_second")) for other in ranked[1:]]
        same = [other for other, r in ratios if r.verdict is Verdict.NO_DIFFERENCE and _tight(r)]
        undecided = [other for other, r in ratios if r.verdict is Verdict.NO_DIFFERENCE and not _tight(r)]
        slower = [
            study.words(
                "times_as_fast_as",
                ratio=cell("ratio", r.estimate.median),
                interval=interval("ratio", r.estimate.low, r.estimate.high),
                backend=study.labels.subject(other.key),
            )
            for other, r in ratios
            if r.verdict is Verdict.FASTER and r.estimate is not None
        ]
        values = {
            "rate": figure("train_samples_per_second", speed(best)),
            "others": study.words.join(slower),
            "rounds": max((r.estimate.n for _, r in ratios if r.estimate), default=0),
        }
        if same:
            key = "level_ahead" if slower else "level"
            yield study.say(key, "speed", case, best, **values, leaders=study.names([best, *same]))
        elif slower:
            yield study.say("ahead" if undecided else "fastest", "speed", case, best, **values)
        else:
            yield study.say("fastest_unsure", "speed", case, best, **values)
        if undecided and (same or slower):
            yield study.say("undecided", "speed", case, best, **values, rest=study.names(undecided))


def _tight(found: Ratio) -> bool:
    """Whether no difference means more than too few rounds: the interval leaves room for a small one only."""
    size = found.estimate
    return size is not None and size.low is not None and size.high is not None and size.high / size.low <= LEVEL_WIDTH


def _nonconforming(study: Study, subject: Subject) -> bool:
    status = study.conformance.get(subject.backend)
    return status is not None and bool(status.failures)


def tuning(study: Study) -> Iterator[Finding]:
    """What each manner brought where the same backend ran as it comes too."""
    for case in study.cases:
        for tuned in (s for s in case.subjects if s.key.tuning != "default"):
            for untuned in (s for s in case.subjects if s.key == tuned.key._replace(tuning="default")):
                found = speed_ratio(tuned, untuned, "train_samples_per_second")
                if found.estimate is not None and found.verdict is not Verdict.NOT_COMPARABLE:
                    yield Finding("tuning", "speed", {
                        "case": study.labels.case(case.key), "backend": tuned.backend,
                        "manner": study.words(f"tuning_{tuned.key.tuning}"),
                        "ratio": cell("ratio", found.estimate.median),
                        "interval": interval("ratio", found.estimate.low, found.estimate.high),
                    })  # fmt: skip


def far_slower(study: Study) -> Iterator[Finding]:
    """Backends far behind the fastest, beyond doubt; NumPy, the reference in float64, is slow by nature."""
    for case in study.cases:
        subjects = [s for s in case.subjects if speed(s) is not None and s.backend != "numpy"]
        best = max(subjects, key=lambda s: speed(s) or 0.0, default=None)
        for subject in subjects:
            found = speed_ratio(best, subject, "train_samples_per_second") if best and best is not subject else None
            if found is None or found.estimate is None or found.verdict is not Verdict.FASTER:
                continue
            if found.estimate.median >= FAR_SLOWER:
                times = cell("ratio", found.estimate.median)
                yield study.say("far_slower", "warning", case, subject, times=times)


def first_step(study: Study) -> Iterator[Finding]:
    """One finding per subject whose first steps take long, with the cases where they do."""
    slow: dict[str, list[str]] = {}
    for case in study.cases:
        for subject in case.subjects:
            first, step = subject.ok["first_step_s"].median(), subject.ok["step_p50_ms"].median()
            if first >= FIRST_STEP_LEAST_S and first * 1000 >= FIRST_STEP_TIMES * step:
                said = study.words(
                    "first_step_of",
                    case=study.labels.case(case.key),
                    seconds=duration(first),
                    steps=f"{first * 1000 / step:,.0f}",
                )
                slow.setdefault(study.labels.subject(subject.key), []).append(said)
    for backend, cases_ in slow.items():
        yield study.say("first_step", "note", backend=backend, where=some(study, pd.Series(cases_)))


def wide(study: Study) -> Iterator[Finding]:
    """Throughputs whose intervals are so wide that more repeats are worth their time."""
    summary = study.summary
    column = "train_samples_per_second"
    wide = summary[(summary[f"{column}_high"] - summary[f"{column}_low"]) / summary[column] > WIDE_INTERVAL]
    if len(wide):
        names = [
            f"{study.labels.subject(SubjectKey(*(row[key] for key in SubjectKey._fields)))} / {row['model']}"
            for _, row in wide.iterrows()
        ]
        yield study.say("wide", "note", names=some(study, pd.Series(names)), share=f"{100 * WIDE_INTERVAL:g}")
