"""What the report says, assembled from records for the templates: plain data, nothing rendered or escaped yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from results.columns import CaseKey, SubjectKey
from results.findings import LEVELS, Analysis, Finding, collect
from results.formatting import cell, is_absent, moment, plain, plain_lines, unit
from results.plots import Plot
from results.record import Row
from results.report import machine_tables, page_tables
from results.report.page_tables import Table
from results.words import Words

FAILURES = 30
"""Failures shown with their logs; the others are in the table of all runs."""
_MACHINE = (
    *("cpu", "cores", "cpu_quota", "threads", "ram_mb", "gpu", "os"),
    *("governor", "matmul_peak_gflops", "git_commit"),
)


@dataclass(frozen=True)
class FailedRun:
    """A run that did not end well, with what there is to find out why."""

    title: str
    message: str
    advice: str
    traceback: str
    log_tail: str
    command: str


@dataclass(frozen=True)
class Software:
    """What a subject ran on: its version, its packages, the variables it was started with, and its tuning."""

    title: str
    facts: list[tuple[str, str]]
    packages: str
    variables: str
    manner: str
    tuning: list[str]


@dataclass(frozen=True)
class Sentence:
    """A finding's sentence and where its figures are: the words of each link and the anchor it leads to."""

    sentence: str
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """Everything the templates show."""

    words: Words
    title: str
    sets: list[dict[str, str]]
    made: str
    findings: list[tuple[str, str, list[Sentence]]]
    changes: Table | None
    tables: list[Table]
    plots: list[tuple[Plot, str]]
    conformance: Table
    failures: list[FailedRun]
    more_failures: int
    machine: list[tuple[str, str]]
    machines: Table | None
    software: list[Software]
    fingerprints: Table
    runs: Table


def assemble(analysis: Analysis, plots: Sequence[Plot]) -> Page:
    """The page of a analysis with its plots."""
    words, results = analysis.words, analysis.results
    whole = zip(results.rows, results.runs["training"], results.runs["machine"], strict=True)
    bad = [(CaseKey(training, row.device, row.precision, row.threads, name, machine), row)
           for (name, row), training, machine in whole if row.status != "ok"]  # fmt: skip
    own = page_tables
    tables = [make(analysis) for make in (machine_tables.agreement, own.speed, own.ladder, own.accuracy, own.resources)]
    tables = [table for table in tables if table.rows or table.name not in ("agreement", "ladder")]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Page(
        words=words,
        title=words.join([plain(name) for name in results.names]),
        sets=list(_sets(analysis)),
        made=words("made", when=now, runs=f"{len(results.runs):,}"),
        findings=_findings(analysis, tables, plots),
        changes=page_tables.changes(analysis),
        tables=tables,
        plots=[(plot, words(f"caption_{plot.kind}", about=plain(plot.about))) for plot in plots],
        conformance=page_tables.conformance(analysis),
        failures=[_failure(analysis, key, row) for key, row in bad[:FAILURES]],
        more_failures=max(0, len(bad) - FAILURES),
        machine=_machine(analysis),
        machines=machine_tables.machines(analysis),
        software=list(_software(analysis)),
        fingerprints=page_tables.fingerprints(analysis),
        runs=page_tables.runs(analysis),
    )


def _sets(analysis: Analysis) -> Iterator[dict[str, str]]:
    for name, one in zip(analysis.results.names, analysis.results.sets, strict=True):
        asked = json.dumps(one.manifest.study, indent=2, ensure_ascii=False) if one.manifest.study else ""
        yield {
            "name": plain(name),
            "created": analysis.words("set_created", created=moment(one.manifest.created)),
            "command": plain(one.manifest.command or "", 2000),
            "study": plain_lines(asked),
        }


_SHOWN = {
    "race": ("", "race"),
    "speed": ("speed", "throughput"), "ladder": ("ladder", "ladder"), "far_slower": ("speed", "throughput"),
    "accuracy": ("accuracy", "accuracy"), "accuracy_differs": ("accuracy", "accuracy"), "leaves": ("accuracy", "loss"),
    "memory": ("resources", "memory"), "threads_exceeded": ("resources", ""), "first_step": ("resources", "phases"),
    "failed": ("failures", ""), "namesakes": ("fingerprints", ""), "no_fingerprints": ("fingerprints", ""),
    "noisy": ("runs", ""), "machines": ("environment", ""), "nonconforming": ("conformance", ""),
    "machine_kinds": ("machines", ""), "agreement": ("agreement", ""),
    "unchecked": ("conformance", ""), "change": ("changes", ""), "target_missed": ("accuracy", "accuracy"),
}  # fmt: skip
"""Where the figures of a finding are, by its key or else by its level: the table or section, and the kind of plot."""


def _findings(
    analysis: Analysis, tables: Sequence[Table], plots: Sequence[Plot]
) -> list[tuple[str, str, list[Sentence]]]:
    """Level, its heading and its sentences."""
    found = collect(analysis)
    rows = {(table.name, key): f"{table.name}-{n}" for table in tables for n, key in enumerate(table.keys)}
    groups: list[tuple[str, str, list[Sentence]]] = []
    for level in LEVELS:
        told = [
            Sentence(one.sentence(analysis.words), list(_links(analysis, one, rows, plots)))
            for one in found
            if one.level == level
        ]
        if told:
            groups.append((level, analysis.words(f"level_{level}"), told))
    return groups


def _links(
    analysis: Analysis, one: Finding, rows: Mapping[tuple[str, Any], str], plots: Sequence[Plot]
) -> Iterator[tuple[str, str]]:
    where, kind = _SHOWN.get(one.key) or _SHOWN.get(one.level) or ("", "")
    parts = [] if one.case is None else [case.key for case in analysis.machines_of(one.case)]
    if where:
        own = [row for (table, key), row in rows.items() if table == where and key[0] in parts]
        anchor = rows.get((where, (one.case, one.subject))) or next(iter(own), where)
        yield analysis.words("jump_row" if anchor != where else f"heading_{where}"), anchor
    shown = (plot for plot in plots if plot.kind == kind)
    plot = next((plot for plot in shown if one.case is None or {one.case, *parts} & {*plot.cases}), None)
    if plot is not None:
        yield analysis.words("jump_plot"), f"plot-{plot.name}"


def _failure(analysis: Analysis, key: CaseKey, row: Row) -> FailedRun:
    case = analysis.labels.case(key)
    title = f"{plain(row.backend)}: {case}: {analysis.words(f'status_{row.status}')} ({row.run_id})"
    error = row.error
    command = plain(row.command or "", 1000)
    if error is None:
        return FailedRun(title, "", "", "", "", command)
    ended = [f"exit code {error.exit_code}" if error.exit_code is not None else "", error.signal or ""]
    message = f"{plain(error.kind)}: {plain(error.message, 1000)}"
    said = " ".join([message, *(f"({plain(part)})" for part in ended if part and part not in message)])
    return FailedRun(
        title=title,
        message=said,
        advice=plain(error.advice or "", 500),
        traceback=plain_lines(error.traceback or ""),
        log_tail=plain_lines(error.log_tail or ""),
        command=command,
    )


def _machine(analysis: Analysis) -> list[tuple[str, str]]:
    """What is true of all runs, and what varies between them, unless the machines have a table."""
    facts = []
    for column in _MACHINE:
        values = [value for value in analysis.results.runs[column].dropna().unique() if not is_absent(value)]
        if not values or (analysis.labels.machines and len(values) > 1):
            continue
        said = [f"{cell(column, value)} {unit(column).name}".strip() for value in values[:6]]
        title = analysis.words(f"column_{column}")
        facts.append((title, said[0] if len(said) == 1 else analysis.words("varies", values=analysis.words.join(said))))
    return facts


def _software(analysis: Analysis) -> Iterator[Software]:
    """Per subject and set, from its first run that says so; what it was tuned by from all of them."""
    runs = analysis.results.runs
    owners = [SubjectKey(*key) for key in runs[list(SubjectKey._fields)].itertuples(index=False)]
    grouped: dict[tuple[SubjectKey, str], list[Row]] = {}
    for (name, row), owner in zip(analysis.results.rows, owners, strict=True):
        grouped.setdefault((owner, name), []).append(row)
    words = analysis.words
    for (subject, name), rows in grouped.items():
        row = next((row for row in rows if row.environment.packages), rows[0])
        title = analysis.labels.subject(subject)
        environment = row.environment
        facts = {
            "framework_version": row.framework_version,
            "framework_build": environment.framework_build,
            "python": environment.python,
            "device": row.device,
        }
        phrases = [phrase for row in rows for phrase in row.tuning.applied]
        phrases += [words("tuned_allocator", variables=" ".join(sorted(allocator)))
                    for row in rows[:1] if (allocator := _allocator(row))]  # fmt: skip
        yield Software(
            title=title if len(analysis.results.sets) == 1 else f"{title} ({plain(name)})",
            facts=[(words(f"column_{name}"), plain(value)) for name, value in facts.items() if value],
            packages=", ".join(f"{plain(k)} {plain(v)}" for k, v in sorted(environment.packages.items())),
            variables=" ".join(f"{plain(k)}={plain(v)}" for k, v in sorted(environment.variables.items())),
            manner=words(f"tuning_{subject.tuning}"),
            tuning=[plain(phrase) for phrase in dict.fromkeys(phrases)],
        )


def _allocator(row: Row) -> list[str]:
    """The settings of the C library's allocator that the worker was started with."""
    return [plain(f"{k}={v}") for k, v in row.environment.variables.items() if k.startswith("MALLOC_")]
