"""The proof of each case: who computed its steps as the reference does, who did not, and whom nothing is known of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from results.findings.finding import Analysis, Finding
from results.formatting import is_absent, plain
from results.summary import Case, Subject


def sameness(analysis: Analysis) -> Iterator[Finding]:
    """First who does not compute the same; then, in one sentence where all cases agree, who does."""
    for case in analysis.cases:
        for subject in case.subjects:
            if subject.disproved:
                yield analysis.say("disproved", "sameness", case, subject, **_worst(subject, "failed"))
    proved = {case.key: _with(case, "proved") for case in analysis.cases}
    names = {analysis.names(subjects) for subjects in proved.values() if subjects}
    if len(names) == 1 and all(proved.values()):
        everyone = [subject for subjects in proved.values() for subject in subjects]
        yield analysis.say("proved", "sameness", None, None, backends=names.pop(), **_figures(everyone))
    else:
        for case in analysis.cases:
            if subjects := proved[case.key]:
                figures = _figures(subjects)
                yield analysis.say("proved_case", "sameness", case, backends=analysis.names(subjects), **figures)
    for case in analysis.cases:
        if subjects := _with(case, "skipped"):
            yield analysis.say("proof_skipped", "sameness", case, backends=analysis.names(subjects))
        if subjects := _with(case, "unsupported"):
            reason = plain(subjects[0].runs["proof_reason"].iloc[0], 300)
            yield analysis.say("proof_unsupported", "sameness", case, backends=analysis.names(subjects), reason=reason)


def _with(case: Case, status: str) -> list[Subject]:
    """The subjects all of whose runs have a proof of this status."""
    return [subject for subject in case.subjects if len(subject.runs) and (subject.runs["proof"] == status).all()]


def _figures(subjects: list[Subject]) -> dict[str, Any]:
    runs = pd.concat([subject.runs for subject in subjects])
    steps = runs["proof_steps"].dropna()
    return {
        "steps": f"{steps.min()}" if steps.nunique() == 1 else f"{steps.min()}–{steps.max()}",
        "error": f"{runs['proof_error'].max():.0e}",
    }


def _worst(subject: Subject, status: str) -> dict[str, Any]:
    run = subject.runs[subject.runs["proof"] == status].iloc[0]
    layer = "" if is_absent(run["proof_reason"]) else plain(run["proof_reason"], 300)
    return {"steps": run["proof_steps"], "what": layer}
