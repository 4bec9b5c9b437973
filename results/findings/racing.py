"""What the races by turns say of each case."""

from __future__ import annotations

from collections.abc import Iterator

from results.findings.finding import Analysis, Finding
from results.race_words import sentences


def raced(analysis: Analysis) -> Iterator[Finding]:
    """Per case that was raced: who is fastest, and how far that goes."""
    for case in analysis.cases:
        if race := analysis.races.get(case.key):
            said = " ".join(sentences(race, analysis.words, lambda racer: analysis.labels.subject(racer.key)))
            yield analysis.say("raced", "race", case, said=said)
