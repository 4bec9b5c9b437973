"""What the races by turns say of each case."""

from __future__ import annotations

from collections.abc import Iterator

from results.findings.finding import Analysis, Finding
from results.race_words import sentences
from results.summary import Case


def raced(analysis: Analysis) -> Iterator[Finding]:
    """Per case that was raced: who is fastest, and how far that goes; and where too few were left for a race."""
    for case in analysis.cases:
        if race := analysis.races.get(case.key):
            said = " ".join(sentences(race, analysis.words, lambda racer: analysis.labels.subject(racer.key)))
            yield analysis.say("raced", "race", case, said=said)
        elif len(case.subjects) > 1 and _asked(analysis, case):
            fit = [one for one in case.subjects if len(one.ok) and not one.disproved]
            if len(fit) < 2:
                yield analysis.say("unraced", "race", case, left=analysis.names(fit) or analysis.words("nobody"))


def _asked(analysis: Analysis, case: Case) -> bool:
    """Whether races belonged to what its set was made by."""
    study = analysis.results.sets[analysis.results.names.index(case.key.set)].manifest.study
    return bool(study and study.get("race"))
