"""The report in a few lines for a terminal: plain text without any escape sequence."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.findings import Analysis, collect
from results.findings.sameness import proof_of
from results.formatting import plain
from results.report.machine_tables import agreement
from results.report.page_tables import Table, ladder, summary

if TYPE_CHECKING:
    from results.report import Report


@dataclass(frozen=True)
class TextTable:
    """A table of plain texts; ``right`` names the columns that are set to the right."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    right: set[str]


def text_tables(analysis: Analysis) -> Iterator[TextTable]:
    """Accuracy, speed, ratio and memory per case and backend, the ladder where there is one, and kinds of machine."""
    for table in (summary(analysis), ladder(analysis), agreement(analysis)):
        if table.rows:
            yield _as_text(table)


def _as_text(table: Table) -> TextTable:
    titles = [f"{column.title} ({column.unit})" if column.unit else column.title for column in table.columns]
    rows = [[f"{cell.text} ({cell.detail})" if cell.detail else cell.text for cell in row] for row in table.rows]
    right = {title for title, column in zip(titles, table.columns, strict=True) if column.numeric}
    return TextTable(table.about, titles, rows, right)


def as_json(made: Report) -> str:
    """The findings with what they are about, the proofs, the summary's rows, the races, and where the report is.

    Absent figures are null.
    """
    analysis = made.analysis
    findings = [
        {
            "level": one.level,
            "finding": one.key,
            "case": analysis.labels.case(one.case) if one.case else None,
            "subject": analysis.labels.subject(one.subject) if one.subject else None,
            "sentence": plain(one.sentence(analysis.words), 1000),
        }
        for one in collect(analysis)
    ]
    summary = json.loads(made.summary.to_json(orient="records"))
    races = [
        {
            "case": analysis.labels.case(key),
            **race.model_dump(by_alias=True, exclude={"racers"}),
            "racers": race.standings(),
            "ratios": race.summary(),
        }
        for key, race in analysis.races.items()
    ]
    proofs = [
        {"case": analysis.labels.case(case.key), **subject.key._asdict(), **proof_of(subject)}
        for case in analysis.cases
        for subject in case.subjects
    ]
    whole = {"findings": findings, "proofs": proofs, "summary": summary, "races": races, "report": str(made.html)}
    return json.dumps(whole, indent=2) + "\n"


def chief_findings(analysis: Analysis, levels: Container[str]) -> list[str]:
    """Sentences of the findings of these levels."""
    return [plain(f.sentence(analysis.words), 1000) for f in collect(analysis) if f.level in levels]
