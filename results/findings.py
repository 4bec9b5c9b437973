"""What the runs say in plain sentences: who was fastest, whether accuracies are equal, what failed, what to beware of.

Each rule is one short function from a ``Study`` to findings, with its threshold named; the findings are collected once
and rendered once, in the reader's language (``results.words``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from results.columns import FINGERPRINTS, CaseKey, SubjectKey
from results.comparison import compare
from results.formatting import cell, duration, figure, interval, is_absent, plain
from results.labels import Labels
from results.manifest import BackendConformance
from results.palette import in_order
from results.statistics import EQUIVALENCE_MARGIN, Ratio, Verdict
from results.summary import Case, Subject, accuracy_equivalence, cases, differing_fingerprints, speed_ratio
from results.tables import Results
from results.threads import IDLE, exceeded
from results.words import Words

Level = Literal["change", "speed", "accuracy", "memory", "problem", "warning", "note"]
LEVELS: tuple[Level, ...] = ("change", "speed", "accuracy", "memory", "problem", "warning", "note")

FIRST_STEP_LEAST_S = 1.0
FIRST_STEP_TIMES = 20.0
"""A first step is worth a note if it takes this long and this many times the median step."""
FAR_SLOWER = 10.0
"""A backend this many times slower than the fastest is probably on a wrong path, not merely slow."""
WIDE_INTERVAL = 0.25
"""Width of an interval, as a share of its median, from which more repeats are worth their time."""
LEVEL_WIDTH = 1.5
"""Upper over lower bound of a ratio up to which "no difference" may be called equally fast."""
NAMED = 4
"""Of more things than this a sentence names only the first."""


@dataclass(frozen=True)
class Finding:
    """One thing to know. ``key`` names its sentence in ``results.words``; ``values`` fill it in."""

    key: str
    level: Level
    values: dict[str, Any]

    def sentence(self, words: Words) -> str:
        """The finding in the language of ``words``."""
        return words(f"finding_{self.key}", **self.values)


@dataclass(frozen=True)
class Study:
    """The runs as findings and plots look at them."""

    results: Results
    baseline: str | None
    words: Words

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        return tuple(cases(self.results.runs))

    @cached_property
    def summary(self) -> pd.DataFrame:
        return self.results.summary(self.baseline)

    @cached_property
    def labels(self) -> Labels:
        return Labels(self.results.runs, self.words)

    @cached_property
    def conformance(self) -> dict[str, BackendConformance]:
        """What the first set that knows says of each backend."""
        return {name: status for one in reversed(self.results.sets) for name, status in one.conformance().items()}

    def say(
        self, key: str, level: Level, case: Case | None = None, subject: Subject | None = None, **values: Any
    ) -> Finding:
        """A finding about a case, a subject or neither."""
        if case is not None:
            values["case"] = self.labels.case(case.key)
        if subject is not None:
            values["backend"] = self.labels.subject(subject.key)
        return Finding(key, level, values)

    def names(self, subjects: list[Subject]) -> str:
        """Their names joined."""
        return self.words.join([self.labels.subject(subject.key) for subject in subjects])


def collect(study: Study) -> list[Finding]:
    """Every finding, in the order of LEVELS."""
    if study.results.runs.empty:
        return [study.say("no_runs", "problem"), *_damaged(study)]
    found = [finding for rule in RULES for finding in rule(study)]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


def _changes(study: Study) -> Iterator[Finding]:
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
            what = _some(study, pd.Series(said[verdict]))
            yield study.say(f"changes_{verdict}", "change", before=before, after=after, what=what)


def _fastest(study: Study) -> Iterator[Finding]:
    """Per case: the fastest to train, and how many times as fast as each of the others.

    A backend that failed conformance has no rank: it may be fast at computing something else.
    """
    for case in study.cases:
        ranked = [s for s in case.subjects if _speed(s) is not None and not _nonconforming(study, s)]
        ranked.sort(key=lambda s: -(_speed(s) or 0.0))
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
            "rate": figure("train_samples_per_second", _speed(best)),
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


def _tuning(study: Study) -> Iterator[Finding]:
    """What tuning brought where the same backend ran with and without it."""
    for case in study.cases:
        for tuned in (s for s in case.subjects if s.key.tuning):
            for untuned in (s for s in case.subjects if s.key == tuned.key._replace(tuning=False)):
                found = speed_ratio(tuned, untuned, "train_samples_per_second")
                if found.estimate is not None and found.verdict is not Verdict.NOT_COMPARABLE:
                    yield Finding("tuning", "speed", {
                        "case": study.labels.case(case.key), "backend": tuned.backend,
                        "ratio": cell("ratio", found.estimate.median),
                        "interval": interval("ratio", found.estimate.low, found.estimate.high),
                    })  # fmt: skip


def _far_slower(study: Study) -> Iterator[Finding]:
    """Backends far behind the fastest, beyond doubt; NumPy, the reference in float64, is slow by nature."""
    for case in study.cases:
        subjects = [s for s in case.subjects if _speed(s) is not None and s.backend != "numpy"]
        best = max(subjects, key=lambda s: _speed(s) or 0.0, default=None)
        for subject in subjects:
            found = speed_ratio(best, subject, "train_samples_per_second") if best and best is not subject else None
            if found is None or found.estimate is None or found.verdict is not Verdict.FASTER:
                continue
            if found.estimate.median >= FAR_SLOWER:
                times = cell("ratio", found.estimate.median)
                yield study.say("far_slower", "warning", case, subject, times=times)


def _accuracy(study: Study) -> Iterator[Finding]:
    """Per case: which backends reach the baseline's accuracy within the margin, and which cannot be said to."""
    for case in study.cases:
        equal: list[Subject] = []
        for subject in case.subjects:
            peer = case.baseline(study.baseline)
            if peer is None or peer.key == subject.key or subject.ok["test_accuracy"].dropna().empty:
                continue
            found = accuracy_equivalence(subject, peer)
            if found is None:
                continue
            if found.equivalent:
                equal.append(subject)
                continue
            differs = found.low > 0 or found.high < 0
            yield study.say(
                "accuracy_differs" if differs else "accuracy_unsure",
                "warning" if differs else "accuracy",
                case,
                subject,
                baseline=study.labels.subject(peer.key),
                difference=figure("accuracy_difference", found.difference),
                interval=interval("accuracy_difference", found.low, found.high),
                margin=f"{100 * EQUIVALENCE_MARGIN:g}",
            )
        if equal and (peer := case.baseline(study.baseline)):
            together = [peer, *equal]
            medians = [subject.ok["test_accuracy"].median() for subject in together]
            yield study.say(
                "accuracy_equivalent",
                "accuracy",
                case,
                backends=study.names(together),
                medians=_range("accuracy", medians),
                margin=f"{100 * EQUIVALENCE_MARGIN:g}",
            )


def _memory(study: Study) -> Iterator[Finding]:
    for case in study.cases:
        peaks = {s: s.ok["peak_rss_mb"].median() for s in case.subjects if s.ok["peak_rss_mb"].notna().any()}
        if len(peaks) > 1:
            least, most = min(peaks, key=peaks.__getitem__), max(peaks, key=peaks.__getitem__)
            yield study.say(
                "memory", "memory", case,
                least=study.labels.subject(least.key), least_mb=figure("peak_rss_mb", peaks[least]),
                most=study.labels.subject(most.key), most_mb=figure("peak_rss_mb", peaks[most]),
            )  # fmt: skip


def _failed(study: Study) -> Iterator[Finding]:
    """One finding per case, subject, status and kind of error, with the first message and its advice."""
    for case in study.cases:
        for subject in case.subjects:
            bad = subject.runs[subject.runs["status"] != "ok"]
            for (status, _), group in bad.groupby(["status", "error_kind"], dropna=False, sort=False):
                message, advice = group.iloc[0]["error_message"], group.iloc[0]["advice"]
                yield study.say(
                    "failed",
                    "note" if status in ("unsupported", "interrupted") else "problem",
                    case,
                    subject,
                    count=len(group),
                    runs=len(subject.runs),
                    status=study.words(f"status_{status}"),
                    message=_ended("" if is_absent(message) else plain(message, 200)),
                    advice="" if is_absent(advice) else plain(advice, 200),
                )


def _nonconforming_backends(study: Study) -> Iterator[Finding]:
    for backend, status in study.conformance.items():
        if status.failures:
            yield study.say("nonconforming", "problem", backend=plain(backend), count=len(status.failures),
                            first=plain(status.failures[0], 120))  # fmt: skip
    unchecked = in_order(set(study.results.runs["backend"]) - set(study.conformance))
    if unchecked:
        yield study.say("unchecked", "note", backends=study.words.join([plain(b) for b in unchecked]))


def _noisy(study: Study) -> Iterator[Finding]:
    runs = study.results.runs[study.results.runs["current"]]
    noisy = runs[runs["noisy"].fillna(False)]
    if len(noisy):
        yield study.say("noisy", "warning", count=len(noisy), runs=len(runs), names=_some(study, noisy["run_id"]))


def _fingerprints(study: Study) -> Iterator[Finding]:
    """Inputs that differ from the baseline's."""
    for case in study.cases:
        for subject in case.subjects:
            peer = case.baseline(study.baseline)
            if peer is None or peer.key == subject.key or not (parts := differing_fingerprints(subject, peer)):
                continue
            said = study.words.join([study.words(f"input_{part}") for part in parts])
            yield study.say(
                "fingerprints", "warning", case, subject, baseline=study.labels.subject(peer.key), parts=said
            )
    missing = study.results.runs.query("status == 'ok'")
    missing = missing[missing[list(FINGERPRINTS)].isna().any(axis=1)]
    if len(missing):
        yield study.say("no_fingerprints", "warning", count=len(missing), names=_some(study, missing["run_id"]))


def _first_step(study: Study) -> Iterator[Finding]:
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
        yield study.say("first_step", "note", backend=backend, where=_some(study, pd.Series(cases_)))


def _threads(study: Study) -> Iterator[Finding]:
    """Backends that keep more threads busy than allowed, or far fewer though nothing else kept them from it."""
    for case in study.cases:
        allowed = case.key.threads
        idle: dict[str, float] = {}
        for subject in case.subjects:
            busy = subject.ok["busy_threads"].median()
            if most := exceeded(allowed, busy, subject.ok["wanted_threads"].median()):
                yield study.say("threads_exceeded", "warning", case, subject, busy=cell("busy_threads", most),
                                threads=allowed)  # fmt: skip
            undisturbed = subject.ok.loc[~subject.ok["noisy"].fillna(False), "busy_threads"].median()
            if allowed > 1 and undisturbed < IDLE * allowed and case.key.device == "cpu":
                idle[study.labels.subject(subject.key)] = undisturbed
        if idle:
            said = study.words.join([f"{name} {cell('busy_threads', busy)}" for name, busy in idle.items()])
            yield study.say("threads_idle", "note", case, busy=said, threads=allowed)


def _targets(study: Study) -> Iterator[Finding]:
    """Accuracy targets that some runs of a case reached and others did not."""
    for case in study.cases:
        for column in (c for c in study.results.runs.columns if c.startswith("reached_")):
            counts = {s: (int(s.ok[column].fillna(False).sum()), len(s.ok[column].dropna())) for s in case.subjects}
            if not any(reached for reached, _ in counts.values()):
                continue
            for subject, (reached, runs) in counts.items():
                if reached < runs:
                    yield study.say("target_missed", "note", case, subject, reached=reached, runs=runs,
                                    target=figure("accuracy", float(column.removeprefix("reached_"))))  # fmt: skip


def _wide(study: Study) -> Iterator[Finding]:
    summary = study.summary
    column = "train_samples_per_second"
    wide = summary[(summary[f"{column}_high"] - summary[f"{column}_low"]) / summary[column] > WIDE_INTERVAL]
    if len(wide):
        names = [
            f"{study.labels.subject(SubjectKey(*(row[key] for key in SubjectKey._fields)))} / {row['model']}"
            for _, row in wide.iterrows()
        ]
        yield study.say("wide", "note", names=_some(study, pd.Series(names)), share=f"{100 * WIDE_INTERVAL:g}")


def _machines(study: Study) -> Iterator[Finding]:
    """Sets or runs that come from different machines."""
    runs = study.results.runs
    for column in ("cpu", "cores", "accelerator", "os"):
        found = [plain(str(value)) for value in runs[column].dropna().unique()]
        if len(found) > 1:
            yield study.say(
                "machines", "warning", what=study.words(f"machine_{column}"), values=study.words.join(found[:NAMED])
            )


def _damaged(study: Study) -> Iterator[Finding]:
    for damaged in study.results.damaged[:20]:
        yield study.say("damaged", "warning", line=plain(str(damaged)))
    if (rest := len(study.results.damaged) - 20) > 0:
        yield study.say("damaged_more", "warning", count=rest)


RULES: tuple[Callable[[Study], Iterator[Finding]], ...] = (
    _changes, _fastest, _tuning, _far_slower, _accuracy, _memory, _failed, _nonconforming_backends, _fingerprints,
    _noisy, _threads, _machines, _first_step, _targets, _wide, _damaged,
)  # fmt: skip


def _speed(subject: Subject) -> float | None:
    values = subject.ok["train_samples_per_second"].dropna()
    return float(values.median()) if len(values) else None


def _nonconforming(study: Study, subject: Subject) -> bool:
    status = study.conformance.get(subject.backend)
    return status is not None and bool(status.failures)


def _range(column: str, values: Sequence[float]) -> str:
    """The least and the greatest of some figures, or the one that all show."""
    if cell(column, min(values)) == cell(column, max(values)):
        return figure(column, values[0])
    return f"{cell(column, min(values))}–{figure(column, max(values))}"


def _some(study: Study, names: pd.Series[Any]) -> str:
    """The first few names, and how many more there are."""
    shown = [plain(str(name)) for name in names[:NAMED]]
    if len(names) <= NAMED:
        return study.words.join(shown)
    return study.words("and_more", names=study.words("comma").join(shown), count=len(names) - NAMED)


def _ended(sentence: str) -> str:
    return sentence if not sentence or sentence[-1] in ".!?。" else f"{sentence}."
