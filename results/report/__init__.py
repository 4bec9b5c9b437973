"""The report: tables, plots, report.html and report.md, made again from the records of one or more result sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from results.collector import paused
from results.export import write_tables
from results.files import explained, write_atomic
from results.findings import Analysis
from results.tables import Results
from results.words import Words
from specs.errors import RequestError
from specs.program import PROGRAM


@dataclass(frozen=True)
class Report:
    """What ``build`` made: the page, and the summary to print."""

    html: Path
    markdown: Path
    analysis: Analysis

    @property
    def summary(self) -> pd.DataFrame:
        """One row per case and subject (``results.summary``)."""
        return self.analysis.summary


def build(
    paths: Sequence[str | Path], *, baseline: str | None = None, lang: str = "en", out: str | Path | None = None
) -> Report:
    """Make the report of these sets in ``out``.

    ``out`` is by default the set's own folder, or for several sets a folder compared/NAMES in the first. Raises
    RequestError where a path is no set, ``baseline`` no backend that ran or ``lang`` no language; StoreError where the
    storage refuses, and then the records are safe.
    """
    from results.plots import draw
    from results.report.page import assemble
    from results.report.rendering import render

    words = Words(lang)
    results = Results.load(paths)
    _check_readable(results)
    analysis = Analysis(results, results.baseline(baseline), words)
    folder = Path(out) if out is not None else _folder(results)
    plots = list(draw(analysis)) if len(results.runs) else []
    with paused():  # a table of ten thousand runs has 130,000 cells
        page = assemble(analysis, plots)
        html, markdown = render(page)

    safe = f"the records are safe, make the report again with {PROGRAM} report"
    for plot in plots:
        write_atomic(folder / "plots" / f"{plot.name}.svg", plot.svg, safe=safe)
        write_atomic(folder / "plots" / f"{plot.name}.png", plot.png, safe=safe)
    _remove_stale(folder / "plots", {plot.name for plot in plots})
    tables = {"runs": results.runs, "epochs": results.epochs, "summary": analysis.summary}
    write_tables(folder / "tables", tables, safe=safe)
    write_atomic(folder / "report.md", markdown, safe=safe)
    write_atomic(folder / "report.html", html, safe=safe)
    return Report(folder / "report.html", folder / "report.md", analysis)


def _check_readable(results: Results) -> None:
    """Raise RequestError where a report would leave out records that another harness reads, or hold none at all."""
    if foreign := [damaged for damaged in results.damaged if damaged.foreign]:
        raise RequestError(f"{foreign[0]} (records under such a schema: {len(foreign)}); nothing was changed")
    if results.damaged and not results.rows:
        raise RequestError(
            f"{results.damaged[0]} (of {len(results.damaged)} lines none is a record); nothing was changed"
        )


def _folder(results: Results) -> Path:
    first, *others = results.sets
    if not others:
        return first.path
    return first.path / "compared" / "+".join(one.path.name for one in others)[:200]


def _remove_stale(folder: Path, current: set[str]) -> None:
    """Plots of an earlier report that this one does not have would contradict it."""
    if not folder.is_dir():
        return
    with explained("clear", folder):
        for file in folder.iterdir():
            if file.suffix in (".svg", ".png") and file.stem not in current:
                file.unlink()
