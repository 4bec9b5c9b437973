"""Showing what the suite found: a table for the terminal, JSON, and a report in Markdown or HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from rich.table import Table
from rich.text import Text

from harness.conformance.outcome import BackendReport, CheckOutcome, worst
from harness.conformance.tolerances import Tolerance, tolerance, tolerances

SCHEMA = 2
_STYLES = {"pass": "green", "fail": "bold red", "unsupported": "yellow"}

Row = tuple[str, str, str]
"""Level, check, precision."""


@dataclass(frozen=True, kw_only=True)
class ConformanceTable:
    """Checks by backend and manner: everything a run of the suite found. ``notes`` say what was not judged, and why."""

    scope: str
    levels: tuple[str, ...]
    reports: tuple[BackendReport, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no backend failed a check."""
        return all(report.passed for report in self.reports)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The checks in the order in which they ran."""
        rows = (
            (outcome.level, outcome.check, outcome.precision) for report in self.reports for outcome in report.outcomes
        )
        return tuple(dict.fromkeys(rows))


def drawn(table: ConformanceTable) -> Iterator[Table]:
    """For each manner, check by backend: the worst quantity of each, its error and its limit."""
    for manner in dict.fromkeys(report.tuning for report in table.reports):
        reports = [report for report in table.reports if report.tuning == manner]
        shown = Table(title=f"Conformance, {manner}: error and tolerance of the worst quantity", header_style="bold")
        for title in ("level", "check", "precision"):
            shown.add_column(title)
        for report in reports:
            shown.add_column(report.backend, justify="right", no_wrap=True)
        level = ""
        for row in table.rows:
            if level and row[0] != level:
                shown.add_section()
            shown.add_row("" if row[0] == level else row[0], *row[1:], *(_cell(report, row) for report in reports))
            level = row[0]
        yield shown


def _cell(report: BackendReport, row: Row) -> Text:
    outcomes = _of(report, row)
    if not outcomes:
        return Text("")
    outcome = worst(outcomes)
    return Text(f"{figures(outcome)} {outcome.status}", style=_STYLES[outcome.status])


def _of(report: BackendReport, row: Row) -> list[CheckOutcome]:
    return [outcome for outcome in report.outcomes if (outcome.level, outcome.check, outcome.precision) == row]


def figures(outcome: CheckOutcome) -> str:
    """Error and limit: 1.2e-07/1e-05."""
    if outcome.error is None or outcome.limit is None:
        return ""
    return f"{_short(outcome.error)}/{_short(outcome.limit)}"


def _short(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.1e}" if value < 0.01 else f"{value:.2g}"


def line(outcome: CheckOutcome) -> str:
    """One outcome in a line: where, what, how far off, in which case."""
    parts = [f"{outcome.level}: {outcome.check}, {outcome.quantity} in {outcome.precision}: {outcome.status}"]
    if outcome.error is not None:
        parts.append(f"error {figures(outcome)}")
        parts.append(f"in {outcome.worst_case}" + (f" ({outcome.where})" if outcome.where else ""))
    if outcome.float32_limited:
        parts.append(
            f"limit: {tolerance(outcome.quantity, outcome.precision).yardstick:g} times NumPy's own error in float32"
        )
    if outcome.detail:
        parts.append(outcome.detail)
    return "; ".join(parts)


def lines(table: ConformanceTable) -> Iterable[str]:
    """What the table has no room for: failures, what is unsupported and why, where float32 is the limit, notes."""
    for report in table.reports:
        for outcome in report.outcomes:
            if outcome.status == "fail" or outcome.float32_limited:
                yield f"{report.title}: {line(outcome)}"
        for reason, cases in _unsupported(report).items():
            yield f"{report.title}: unsupported in {cases} cases: {reason}"
    yield from table.notes


def _unsupported(report: BackendReport) -> dict[str, int]:
    """Reason to the number of cases it was given for."""
    counted: dict[str, int] = {}
    seen: set[tuple[str, str, str]] = set()
    for outcome in report.outcomes:
        for case, reason in outcome.unsupported:
            if (outcome.check, outcome.precision, case) not in seen:
                seen.add((outcome.check, outcome.precision, case))
                counted[reason] = counted.get(reason, 0) + 1
    return counted


def to_json(table: ConformanceTable) -> str:
    """Everything, as one JSON document."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "scope": table.scope,
        "levels": list(table.levels),
        "passed": table.passed,
        "notes": list(table.notes),
        "backends": [
            {
                "backend": report.backend,
                "tuning": report.tuning,
                "framework_version": report.framework_version,
                "packages": report.packages,
                "passed": report.passed,
                "seconds": round(report.seconds, 1),
                "outcomes": [outcome.to_dict() for outcome in report.outcomes],
            }
            for report in table.reports
        ],
    }
    return json.dumps(document, indent=1)


def write_report(table: ConformanceTable, path: Path) -> None:
    """Write the report as Markdown (.md) or as one self-contained HTML file (.html)."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=path.suffix != ".md",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(f"report{path.suffix}.j2")
    text = template.render(
        table=table,
        cell=lambda report, row: worst(_of(report, row)) if _of(report, row) else None,
        figures=figures,
        lines=list(lines(table)),
        tolerances=_table_of_tolerances(table),
    )
    path.write_text(text, encoding="utf-8")


def _table_of_tolerances(table: ConformanceTable) -> Sequence[tuple[str, str, Tolerance]]:
    """Quantity, precision and tolerance of everything that was measured."""
    measured = {
        (outcome.quantity, outcome.precision)
        for report in table.reports
        for outcome in report.outcomes
        if outcome.error is not None
    }
    return [entry for entry in tolerances() if entry[:2] in measured]
