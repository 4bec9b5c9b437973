"""What failed, and what keeps runs from being believed or compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from results.columns import FINGERPRINTS
from results.comparison import differing_inputs
from results.findings.finding import Analysis, Finding, some
from results.formatting import cell, is_absent, plain
from results.identity import differences
from results.threads import IDLE, exceeded


def failed(analysis: Analysis) -> Iterator[Finding]:
    """One finding per case, subject, status and kind of error, with the first message and its advice."""
    for case in analysis.cases:
        for subject in case.subjects:
            bad = subject.runs[subject.runs["status"] != "ok"]
            for (status, _), group in bad.groupby(["status", "error_kind"], dropna=False, sort=False):
                message, advice = group.iloc[0]["error_message"], group.iloc[0]["advice"]
                yield analysis.say(
                    "failed",
                    "note" if status in ("unsupported", "interrupted") else "problem",
                    case,
                    subject,
                    count=len(group),
                    runs=len(subject.runs),
                    status=analysis.words(f"status_{status}"),
                    message=_ended("" if is_absent(message) else plain(message, 200)),
                    advice="" if is_absent(advice) else plain(advice, 200),
                )


def _ended(sentence: str) -> str:
    return sentence if not sentence or sentence[-1] in ".!?。" else f"{sentence}."


def nonconforming_backends(analysis: Analysis) -> Iterator[Finding]:
    """Backends that failed conformance, and those of which neither it nor the proof of their cases says anything."""
    known = [(key, analysis.conformance(key)) for key in analysis.subjects]
    for key, status in known:
        if status is not None and status.failures:
            yield analysis.say("nonconforming", "problem", backend=analysis.labels.subject(key),
                            count=len(status.failures), first=plain(status.failures[0], 120))  # fmt: skip
    told = {subject.key for case in analysis.cases for subject in case.subjects if subject.runs["proof"].notna().any()}
    if unchecked := [key for key, status in known if status is None and key not in told]:
        yield analysis.say("unchecked", "note", backends=analysis.named(unchecked))


def namesakes(analysis: Analysis) -> Iterator[Finding]:
    """Different trainings that bear the same names: they are told apart, and what differs is said."""
    runs, said = analysis.results.runs, analysis.words.value
    several = [trainings for trainings in analysis.labels.namesakes.values() if len(trainings) > 1]
    firsts = runs[runs["training"].isin(list(chain(*several)))].drop_duplicates("training")
    whole = {(name, record.run_id): record for name, record in analysis.results.records(firsts)}
    told = {row["training"]: whole[row["set"], row["run_id"]] for _, row in firsts.iterrows()}
    for first, *others in several:
        for other in others:
            facts = [
                analysis.words("against", what=analysis.words.told(name), first=said(mine), other=said(its))
                for name, mine, its in differences(told[first], told[other])
            ]
            parts = differing_inputs(*(runs[runs["training"] == training] for training in (first, other)))
            what = facts + [analysis.words("differing", what=analysis.words(f"input_{part}")) for part in parts
                            if not (facts and part == "schedule")]  # fmt: skip
            yield analysis.say(
                "namesakes", "warning", first=analysis.labels.training(first), other=analysis.labels.training(other),
                what=some(analysis, what) if what else analysis.words("differing_unknown"),
            )  # fmt: skip


def fingerprints(analysis: Analysis) -> Iterator[Finding]:
    """Runs of whose inputs nothing is known."""
    missing = analysis.results.runs.query("status == 'ok'")
    missing = missing[missing[list(FINGERPRINTS)].isna().any(axis=1)]
    if len(missing):
        yield analysis.say(
            "no_fingerprints", "warning", count=len(missing), names=some(analysis, list(missing["run_id"]))
        )


def noisy(analysis: Analysis) -> Iterator[Finding]:
    """Runs that were disturbed beyond the stated threshold."""
    runs = analysis.results.runs[analysis.results.runs["current"]]
    noisy = runs[runs["noisy"].fillna(False)]
    if len(noisy):
        yield analysis.say(
            "noisy", "warning", count=len(noisy), runs=len(runs), names=some(analysis, list(noisy["run_id"]))
        )


def threads(analysis: Analysis) -> Iterator[Finding]:
    """Backends that keep more threads busy than allowed, or far fewer though nothing else kept them from it."""
    for case in analysis.cases:
        allowed = case.key.threads
        idle: dict[str, float] = {}
        for subject in case.subjects:
            busy = subject.ok["busy_threads"].median()
            if most := exceeded(allowed, busy, subject.ok["wanted_threads"].median()):
                yield analysis.say("threads_exceeded", "warning", case, subject, busy=cell("busy_threads", most),
                                threads=allowed)  # fmt: skip
            undisturbed = subject.ok.loc[~subject.ok["noisy"].fillna(False), "busy_threads"].median()
            if allowed > 1 and undisturbed < IDLE * allowed and case.key.device == "cpu":
                idle[analysis.labels.subject(subject.key)] = undisturbed
        if idle:
            said = analysis.words.join([f"{name} {cell('busy_threads', busy)}" for name, busy in idle.items()])
            yield analysis.say("threads_idle", "note", case, busy=said, threads=allowed)


def damaged(analysis: Analysis) -> Iterator[Finding]:
    """Lines of the record files that are no records."""
    for damaged in analysis.results.damaged[:20]:
        yield analysis.say("damaged", "warning", line=plain(str(damaged)))
    if (rest := len(analysis.results.damaged) - 20) > 0:
        yield analysis.say("damaged_more", "warning", count=rest)
