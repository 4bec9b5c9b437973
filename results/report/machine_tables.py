"""The tables of a report on several machines: how verdicts agree from kind to kind, and what the machines are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from results.findings import Analysis
from results.findings.agreement import families
from results.formatting import plain
from results.report.page_tables import Cell, PageColumn, Table, backend_cell, figure_column, ratio_cell, text_column
from results.statistics import Verdict


def agreement(analysis: Analysis) -> Table:
    """Per training and subject the ratio to the baseline on each kind of machine, and whether the verdicts agree."""
    words = analysis.words
    found = list(families(analysis))

    def rows() -> Iterator[Mapping[str, Any]]:
        for standings in found:
            bases = {one.case.key.machine: one.case.baseline(analysis.baseline) for one in standings}
            case = analysis.labels.case(standings[0].case.key._replace(machine=""))
            for key in (key for key in analysis.subjects if any(key in one.keys for one in standings)):
                row = {one.case.key.machine: (one, key, base.key) for one in standings
                       if (base := bases[one.case.key.machine]) is not None and base.key in one.keys}  # fmt: skip
                if any(base != key for _, _, base in row.values()):
                    yield {**key._asdict(), "case": case, "on": row}

    def ratio(kind: str) -> PageColumn:
        def fill(row: Mapping[str, Any]) -> Cell:
            one, key, base = row["on"].get(kind, (None, None, None))
            return ratio_cell(analysis, one.ratio(key, base) if one and key in one.keys else None)

        return PageColumn(words("machine_name", name=kind), fill, css="number")

    kinds = dict.fromkeys(one.case.key.machine for standings in found for one in standings)
    columns = [
        PageColumn(words("column_case"), lambda row: Cell(row["case"]), on_page=False),
        PageColumn(words("column_backend"), lambda row: replace(backend_cell(analysis, row), under=row["case"])),
        *(ratio(kind) for kind in kinds),
        PageColumn(words("column_agreement"), lambda row: Cell(words(f"agreement_{_agreement(row['on'].values())}"))),
    ]
    return Table.of("agreement", words("about_agreement", baseline=plain(analysis.baseline or "")), columns, rows())


def _agreement(told: Any) -> str:
    """Of the kinds that give a verdict, whether it is the same, the opposite or another."""
    verdicts = [verdict for one, key, base in told if (verdict := one.decided(key, base)) is not None]
    if len(verdicts) < 2:
        return "untold"
    if {Verdict.FASTER, Verdict.SLOWER} <= {*verdicts}:
        return "opposed"
    return "same" if len({*verdicts}) == 1 else "partly"


def machines(analysis: Analysis) -> Table | None:
    """A row per machine; None unless a set was made on several."""
    if not analysis.labels.machines:
        return None
    words = analysis.words
    counts = analysis.results.runs["machine"].value_counts()

    def rows() -> Iterator[Mapping[str, Any]]:
        for machine in analysis.results.machines:
            yield {"machine": machine.name, "runs": int(counts.get(machine.name, 0)), **machine.facts.model_dump()}

    columns = [
        text_column(analysis, "machine"),
        figure_column(analysis, "runs"),
        text_column(analysis, "cpu"),
        figure_column(analysis, "cores"),
        figure_column(analysis, "cpu_quota"),
        figure_column(analysis, "ram_mb"),
        *(text_column(analysis, name) for name in ("gpu", "os", "governor", "instruction_sets")),
        figure_column(analysis, "matmul_peak_gflops"),
    ]
    return Table.of("machines", words("about_machines"), columns, rows())
