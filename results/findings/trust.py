"""What failed, and what keeps runs from being believed or compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from results.columns import FINGERPRINTS
from results.comparison import differing_inputs
from results.findings.finding import NAMED, Finding, Study, some
from results.formatting import cell, is_absent, plain
from results.identity import differences
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
    known = [(key, study.conformance(key)) for key in study.subjects]
    for key, status in known:
        if status is not None and status.failures:
            yield study.say("nonconforming", "problem", backend=study.labels.subject(key), count=len(status.failures),
                            first=plain(status.failures[0], 120))  # fmt: skip
    if unchecked := [key for key, status in known if status is None]:
        yield study.say("unchecked", "note", backends=study.named(unchecked))


def namesakes(study: Study) -> Iterator[Finding]:
    """Different trainings that bear the same names: they are told apart, and what differs is said."""
    runs, said = study.results.runs, study.words.value
    several = [trainings for trainings in study.labels.namesakes.values() if len(trainings) > 1]
    firsts = runs[runs["training"].isin(list(chain(*several)))].drop_duplicates("training")
    whole = {(name, record.run_id): record for name, record in study.results.records(firsts)}
    told = {row["training"]: whole[row["set"], row["run_id"]] for _, row in firsts.iterrows()}
    for first, *others in several:
        for other in others:
            facts = [
                study.words("against", what=study.words.told(name), first=said(mine), other=said(its))
                for name, mine, its in differences(told[first], told[other])
            ]
            parts = differing_inputs(*(runs[runs["training"] == training] for training in (first, other)))
            what = facts + [study.words("differing", what=study.words(f"input_{part}")) for part in parts
                            if not (facts and part == "schedule")]  # fmt: skip
            yield study.say(
                "namesakes", "warning", first=study.labels.training(first), other=study.labels.training(other),
                what=some(study, what) if what else study.words("differing_unknown"),
            )  # fmt: skip


def fingerprints(study: Study) -> Iterator[Finding]:
    """Runs of whose inputs nothing is known."""
    missing = study.results.runs.query("status == 'ok'")
    missing = missing[missing[list(FINGERPRINTS)].isna().any(axis=1)]
    if len(missing):
        yield study.say("no_fingerprints", "warning", count=len(missing), names=some(study, list(missing["run_id"])))


def noisy(study: Study) -> Iterator[Finding]:
    """Runs that were disturbed beyond the stated threshold."""
    runs = study.results.runs[study.results.runs["current"]]
    noisy = runs[runs["noisy"].fillna(False)]
    if len(noisy):
        yield study.say("noisy", "warning", count=len(noisy), runs=len(runs), names=some(study, list(noisy["run_id"])))


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
    for column in ("cpu", "cores", "os"):
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
