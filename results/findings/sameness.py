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
                yield _disproved(analysis, case, subject)
    proved = {case.key: _with(case, "proved") for case in analysis.cases}
    names = {analysis.names(subjects) for subjects in proved.values() if subjects}
    if len(names) == 1 and all(proved.values()):
        everyone = [subject for subjects in proved.values() for subject in subjects]
        figures = _figures(analysis, everyone)
        yield analysis.say("proved", "sameness", None, None, backends=names.pop(), **figures)
    else:
        for case in analysis.cases:
            if subjects := proved[case.key]:
                figures = _figures(analysis, subjects)
                yield analysis.say("proved_case", "sameness", case, backends=analysis.names(subjects), **figures)
    for case in analysis.cases:
        if subjects := [s for s in case.subjects if len(_statuses(s)) > 1 and not s.disproved]:
            yield analysis.say("proof_partly", "sameness", case, backends=analysis.names(subjects))
        if subjects := _with(case, "skipped"):
            yield analysis.say("proof_skipped", "sameness", case, backends=analysis.names(subjects))
        if subjects := _with(case, "unsupported"):
            reason = plain(subjects[0].runs["proof_reason"].iloc[0], 300)
            yield analysis.say("proof_unsupported", "sameness", case, backends=analysis.names(subjects), reason=reason)


def _with(case: Case, *statuses: str) -> list[Subject]:
    """The subjects whose runs have proofs of these statuses, each of them at least once."""
    return [subject for subject in case.subjects if _statuses(subject) == {*statuses}]


def _statuses(subject: Subject) -> set[str]:
    """Those of its runs; a run that failed before its proof says nothing."""
    runs = subject.runs[subject.runs["proof"].notna() | (subject.runs["status"] == "ok")]
    return {*runs["proof"].fillna("skipped" if runs["proof"].notna().any() else "unknown")}


def proof_of(subject: Subject) -> dict[str, Any]:
    """As data: ``proof``, which is "mixed" of runs with and without; ``steps``, ``error`` and, of one that failed, why.

    None stands for what there is not.
    """
    found = _statuses(subject) - {"unknown"}
    status = "failed" if subject.disproved else "mixed" if len(found) > 1 else next(iter(found), None)
    runs = subject.runs[subject.runs["proof"] == status]
    error, steps = runs["proof_error"].max(), runs["proof_steps"].max()
    reasons = runs["proof_reason"].tolist() if status in ("failed", "unsupported") else []
    return {
        "proof": status,
        "steps": None if is_absent(steps) else int(steps),
        "error": None if is_absent(error) else float(error),
        "reason": next((plain(reason, 300) for reason in reasons if not is_absent(reason)), None),
    }


def _figures(analysis: Analysis, subjects: list[Subject]) -> dict[str, Any]:
    runs = pd.concat([subject.runs for subject in subjects])
    steps = runs["proof_steps"].dropna()
    return {
        "steps": f"{steps.min()}" if steps.nunique() == 1 else f"{steps.min()}–{steps.max()}",
        "error": f"{runs['proof_error'].max():.0e}",
        "note": analysis.words("proof_in_float32") if (runs["precision"] == "bfloat16").any() else "",
    }


def _disproved(analysis: Analysis, case: Case, subject: Subject) -> Finding:
    """What it computes otherwise; where its proofs have no figure, that its worker failed in them."""
    failed = subject.runs[subject.runs["proof"] == "failed"]
    measured = failed[failed["proof_error"].notna()]
    run = (measured if len(measured) else failed).iloc[0]
    what = "" if is_absent(run["proof_reason"]) else plain(run["proof_reason"], 300)
    key = "disproved" if len(measured) else "proof_broke"
    return analysis.say(key, "sameness", case, subject, steps=run["proof_steps"], what=what)
