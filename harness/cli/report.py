"""``report``: tables, plots and the report of result sets, made again from their records alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import SETS

if TYPE_CHECKING:
    from results.report import Report

TOLD = ("change", "speed", "accuracy", "problem", "warning")
"""Levels of findings that are told on the terminal; the report has all."""


def report(
    sets: Annotated[list[Path], typer.Argument(help="Folders of result sets, or their names in results/runs.")],
    baseline: Annotated[
        str | None, typer.Option(help="The backend that ratios refer to; default: the study's own.", metavar="BACKEND")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    open_: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; default: into the set, or the first of several.")
    ] = None,
) -> None:
    """Rebuild tables, plots and report from records; several sets are merged, two are also compared.

    Example: `python -m harness report results/runs/before results/runs/after --open`
    """
    from results.report import build

    made = build([_find(path) for path in sets], baseline=baseline, lang=lang, out=out)
    print_report(made)
    if open_:
        import webbrowser

        webbrowser.open(made.html.resolve().as_uri())


def print_report(made: Report) -> None:
    """The summary table, the chief findings and the path of the report, on stdout."""
    from harness.cli.tables import print_table
    from results.report.terminal import chief_findings, summary_table

    if table := summary_table(made.study):
        print_table(table.title, table.columns, table.rows, right=table.right)
    for sentence in chief_findings(made.study, TOLD):
        print(f"- {sentence}")
    print(made.html)


def _find(path: Path) -> Path:
    return SETS / path if not path.exists() and (SETS / path).is_dir() else path
