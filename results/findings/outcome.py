"""What came out of training: accuracies and whether they are equal, targets, memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from results.findings.finding import Analysis, Finding, extent, medians
from results.formatting import figure, interval
from results.statistics import EQUIVALENCE_MARGIN, Verdict
from results.summary import Subject, accuracy_equivalence, per_seed, speed_ratio


def accuracy(analysis: Analysis) -> Iterator[Finding]:
    """Per case: which backends reach the baseline's accuracy within the margin, and which cannot be said to."""
    margin = f"{100 * EQUIVALENCE_MARGIN:g}"
    for case in analysis.cases:
        peer = case.baseline(analysis.baseline)
        equal: list[Subject] = []
        untested: dict[Subject, int] = {}
        for subject in case.subjects:
            found = None if peer is None or peer is subject else accuracy_equivalence(subject, peer)
            if found is None or peer is None:
                continue
            if found.equivalent is None:
                untested[subject] = found.n
            elif found.equivalent:
                equal.append(subject)
            else:
                yield analysis.say(
                    "accuracy_differs" if found.differs else "accuracy_unsure",
                    "warning" if found.differs else "accuracy",
                    case,
                    subject,
                    baseline=analysis.labels.subject(peer.key),
                    difference=figure("accuracy_difference", found.difference),
                    interval=interval("accuracy_difference", found.low, found.high),
                    margin=margin,
                )
        if equal and peer:
            yield analysis.say("accuracy_equivalent", "accuracy", case, backends=analysis.names([peer, *equal]),
                            medians=_medians([peer, *equal]), margin=margin)  # fmt: skip
        if untested and peer:
            seeds = max(untested.values())
            yield analysis.say("accuracy_untested", "accuracy", case, backends=analysis.names([peer, *untested]),
                            medians=_medians([peer, *untested]), seeds=analysis.words(f"seeds_{seeds}"))  # fmt: skip


def _medians(subjects: Sequence[Subject]) -> str:
    return extent("accuracy", [float(np.median(per_seed(subject.ok, "test_accuracy"))) for subject in subjects])


def targets(analysis: Analysis) -> Iterator[Finding]:
    """Accuracy targets that some runs of a case reached and others did not."""
    for case in analysis.cases:
        for column in (c for c in analysis.results.runs.columns if c.startswith("reached_")):
            counts = {s: (int(s.ok[column].fillna(False).sum()), len(s.ok[column].dropna())) for s in case.subjects}
            if not any(reached for reached, _ in counts.values()):
                continue
            for subject, (reached, runs) in counts.items():
                if reached < runs:
                    yield analysis.say("target_missed", "note", case, subject, reached=reached, runs=runs,
                                    target=figure("accuracy", float(column.removeprefix("reached_"))))  # fmt: skip


def memory(analysis: Analysis) -> Iterator[Finding]:
    """Per case and manner: the least peak and the greatest; that one needs less is said only where it is sure."""
    for case in analysis.cases:
        for subjects in case.in_manners():
            peaks = {s: max(own) for s in subjects if (own := medians(s, "peak_rss_mb"))}
            if len(peaks) < 2:
                continue
            least, most = min(peaks, key=peaks.__getitem__), max(peaks, key=peaks.__getitem__)
            others = [speed_ratio(other, least, "peak_rss_mb").verdict for other in peaks if other is not least]
            others += [speed_ratio(most, other, "peak_rss_mb").verdict for other in peaks if other is not most]
            yield analysis.say(
                "memory" if set(others) == {Verdict.FASTER} else "memory_measured", "memory", case,
                least=analysis.labels.subject(least.key), least_mb=extent("peak_rss_mb", medians(least, "peak_rss_mb")),
                most=analysis.labels.subject(most.key), most_mb=extent("peak_rss_mb", medians(most, "peak_rss_mb")),
            )  # fmt: skip
