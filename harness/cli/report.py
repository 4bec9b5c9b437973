"""``report``: tables, plots and the report of result sets, made again from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.planning import options

if TYPE_CHECKING:
    from results.report import Report

TOLD = ("sameness", "change", "agreement", "race", "speed", "accuracy", "problem", "warning")
"""Levels of findings that are told on the terminal; the report has all."""


def report(
    sets: Annotated[list[Path], typer.Argument(help="Folders of result sets, or their names in results/runs.")],
    baseline: Annotated[
        str | None, typer.Option(help="The backend that ratios refer to; default: the study's own.", metavar="BACKEND")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    json: options.Json = False,
    csv: options.Csv = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; default: into the set, or the first of several.")
    ] = None,
) -> None:
    """Rebuild tables, plots and report from records; several sets are merged, two are also compared.

    Example: `python -m harness report results/runs/before results/runs/after --open`
    """
    from results.report import build

    check_form(json=json, csv=csv)
    made = build([_find(path) for path in sets], baseline=baseline, lang=lang, out=out)
    print_report(made, json=json, csv=csv)
    if open_:
        import webbrowser

        webbrowser.open(made.html.resolve().as_uri())


def check_form(*, json: bool, csv: bool) -> None:
    """Raise RequestError where both forms are asked for: stdout holds one."""
    from specs.errors import RequestError

    if json and csv:
        raise RequestError("--json and --csv were both given: choose one")


def print_report(made: Report, *, json: bool = False, csv: bool = False) -> None:
    """The summary table, the chief findings and the path of the report, on stdout; or findings and summary as data."""
    from harness.cli.race_display import print_ranks
    from harness.cli.tables import print_table
    from results.export import csv as as_csv
    from results.report.terminal import as_json, chief_findings, text_tables

    if json or csv:
        print(as_json(made) if json else as_csv(made.summary), end="")
        return
    for table in text_tables(made.analysis):
        print_table(table.title, table.columns, table.rows, right=table.right)
    for key, race in made.analysis.races.items():
        print_ranks(race, made.analysis.labels.machine(key), rates=len(made.analysis.machines_of(key)) == 1)
    for sentence in chief_findings(made.analysis, TOLD):
        print(f"- {sentence}")
    print(made.html)


def _find(path: Path) -> Path:
    return options.SETS / path if not path.exists() and (options.SETS / path).is_dir() else path
