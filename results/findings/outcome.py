"""What came out of training: accuracies and whether they are equal, targets, memory."""

from __future__ import annotations

from collections.abc import Iterator

from results.findings.finding import Finding, Study, extent
from results.formatting import figure, interval
from results.statistics import EQUIVALENCE_MARGIN
from results.summary import Subject, accuracy_equivalence


def accuracy(study: Study) -> Iterator[Finding]:
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
                medians=extent("accuracy", medians),
                margin=f"{100 * EQUIVALENCE_MARGIN:g}",
            )


def targets(study: Study) -> Iterator[Finding]:
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


def memory(study: Study) -> Iterator[Finding]:
    """Per case: which backend needs the least memory and which the most."""
    for case in study.cases:
        peaks = {s: s.ok["peak_rss_mb"].median() for s in case.subjects if s.ok["peak_rss_mb"].notna().any()}
        if len(peaks) > 1:
            least, most = min(peaks, key=peaks.__getitem__), max(peaks, key=peaks.__getitem__)
            yield study.say(
                "memory", "memory", case,
                least=study.labels.subject(least.key), least_mb=figure("peak_rss_mb", peaks[least]),
                most=study.labels.subject(most.key), most_mb=figure("peak_rss_mb", peaks[most]),
            )  # fmt: skip
