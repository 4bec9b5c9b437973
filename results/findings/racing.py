"""What the races by turns say of each case."""

from __future__ import annotations

from collections.abc import Iterator

from results.findings.finding import Finding, Study
from results.race import Racer
from results.race_words import sentences


def raced(study: Study) -> Iterator[Finding]:
    """Per case that was raced: who is fastest, and how far that goes. What failed conformance has no rank."""

    def failed(racer: Racer) -> bool:
        status = study.conformance(racer.key)
        return status is not None and bool(status.failures)

    for case in study.cases:
        if race := study.races.get(case.key):
            said = " ".join(sentences(race, study.words, lambda racer: study.labels.subject(racer.key), failed))
            yield study.say("raced", "race", case, said=said)
