"""What failed, and what keeps runs from being believed or compared."""

from __future__ import annotations

from collections.abc import Iterator

from results.columns import FINGERPRINTS
from results.findings.finding import NAMED, Finding, Study, some
from results.formatting import cell, is_absent, plain
from results.palette import in_order
from results.summary import differing_fingerprints
from results.threads import IDLE, exceeded


def failed(study: Study) -> Iterator[Finding]:
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


def _ended(sentence: str) -> str:
    return sentence if not sentence or sentence[-1] in ".!?。" else f"{sentence}."


def nonconforming_backends(study: Study) -> Iterator[Finding]:
    """Backends that failed conformance, and those of which it says nothing."""
    for backend, status in study.conformance.items():
        if status.failures:
            yield study.say("nonconforming", "problem", backend=plain(backend), count=len(status.failures),
                            first=plain(status.failures[0], 120))  # fmt: skip
    unchecked = in_order(set(study.results.runs["backend"]) - set(study.conformance))
    if unchecked:
        yield study.say("unchecked", "note", backends=study.words.join([plain(b) for b in unchecked]))


def fingerprints(study: Study) -> Iterator[Finding]:
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
        yield study.say("no_fingerprints", "warning", count=len(missing), names=some(study, missing["run_id"]))


def noisy(study: Study) -> Iterator[Finding]:
    """Runs that were disturbed beyond the stated threshold."""
    runs = study.results.runs[study.results.runs["current"]]
    noisy = runs[runs["noisy"].fillna(False)]
    if len(noisy):
        yield study.say("noisy", "warning", count=len(noisy), runs=len(runs), names=some(study, noisy["run_id"]))


def threads(study: Study) -> Iterator[Finding]:
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


def machines(study: Study) -> Iterator[Finding]:
    """Sets or runs that come from different machines."""
    runs = study.results.runs
    for column in ("cpu", "cores", "accelerator", "os"):
        found = [plain(str(value)) for value in runs[column].dropna().unique()]
        if len(found) > 1:
            yield study.say(
                "machines", "warning", what=study.words(f"machine_{column}"), values=study.words.join(found[:NAMED])
            )


def damaged(study: Study) -> Iterator[Finding]:
    """Lines of the record files that are no records."""
    for damaged in study.results.damaged[:20]:
        yield study.say("damaged", "warning", line=plain(str(damaged)))
    if (rest := len(study.results.damaged) - 20) > 0:
        yield study.say("damaged_more", "warning", count=rest)
