"""What the races by turns say of each case."""

from __future__ import annotations

from collections.abc import Iterator

from results.columns import SubjectKey
from results.findings.finding import Analysis, Finding
from results.race import Racer
from results.race_words import sentences


def raced(analysis: Analysis) -> Iterator[Finding]:
    """Per case that was raced: who is fastest, and how far that goes.

    What failed conformance, or the proof of the case, has no rank.
    """
    for case in analysis.cases:
        disproved = {subject.key for subject in case.subjects if subject.disproved}

        def failed(racer: Racer, disproved: set[SubjectKey] = disproved) -> bool:
            status = analysis.conformance(racer.key)
            return racer.key in disproved or (status is not None and bool(status.failures))

        if race := analysis.races.get(case.key):
            said = " ".join(sentences(race, analysis.words, lambda racer: analysis.labels.subject(racer.key), failed))
            yield analysis.say("raced", "race", case, said=said)
