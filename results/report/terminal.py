"""The report in a few lines for a terminal: plain text without any escape sequence."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from results.findings import Study, collect
from results.formatting import plain
from results.report.page_tables import Table, summary


@dataclass(frozen=True)
class TextTable:
    """A table of plain texts; ``right`` names the columns that are set to the right."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    right: set[str]


def summary_table(study: Study) -> TextTable | None:
    """Accuracy, speed, ratio and memory per case and backend; None where there are no runs."""
    table: Table = summary(study)
    if not table.rows:
        return None
    titles = [f"{column.title} ({column.unit})" if column.unit else column.title for column in table.columns]
    rows = [[f"{cell.text} ({cell.detail})" if cell.detail else cell.text for cell in row] for row in table.rows]
    right = {title for title, column in zip(titles, table.columns, strict=True) if column.numeric}
    return TextTable(table.about, titles, rows, right)


def chief_findings(study: Study, levels: Container[str]) -> list[str]:
    """Sentences of the findings of these levels."""
    return [plain(f.sentence(study.words), 1000) for f in collect(study) if f.level in levels]
