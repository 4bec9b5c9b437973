"""``conform``: prove that the backends compute the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.planning import options

if TYPE_CHECKING:
    from backends.registry import Manner
    from harness.conformance.table import ConformanceTable


def conform(
    backend: Annotated[
        list[str] | None, typer.Option(help="Judge this backend (repeatable); default: every framework installed here.")
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="layers, networks, optimizers, trajectories, runs, loop, contract, special, or 1 to 8 (repeatable)."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases of everything.")] = False,
    tuning: Annotated[
        list[str] | None,
        typer.Option(
            help='default, recommended, expert; several, or "all" that each has (default).', metavar="MANNER,…"
        ),
    ] = None,
    data_dir: options.DataDir = None,
    python: options.Python = None,
    json: options.Json = False,
    report: Annotated[
        Path | None, typer.Option(help="Also write the report, as .html or .md.", metavar="FILE.html|FILE.md")
    ] = None,
    quiet: options.Quiet = False,
) -> int:
    """Judge the backends by the NumPy float64 reference, on levels from single layers to whole runs.

    Example: `python -m harness conform --backend paddle --level layers`
    """
    from harness.cli.checkpoint_options import failures_as_one_line
    from harness.cli.choosing import words
    from harness.cli.conform_progress import ConformProgress
    from harness.conformance.outcome import LEVELS
    from harness.conformance.running import run_suite
    from harness.conformance.standing import remember
    from harness.conformance.suite import FULL, QUICK, Suite
    from harness.conformance.table import ConformanceTable, write_report
    from harness.datasets import find_mnist
    from specs.errors import RequestError

    if report is not None and report.suffix not in (".html", ".md"):
        raise RequestError(f"--report {report}: must end in .html or .md")
    if report is not None and not report.parent.is_dir():
        raise RequestError(f"--report {report}: no such folder {report.parent}")
    levels = _levels(level)
    pythons, notes = judged_backends(backend, python)
    wanted = words(tuning or ("all",))
    chosen = {name: _manners(name, wanted, notes) for name in pythons}
    scope = QUICK if quick else FULL
    mnist = find_mnist(data_dir)
    suite = Suite(scope, mnist=mnist)
    notes += suite.notes(levels)
    with ConformProgress(quiet=quiet) as progress, failures_as_one_line("conform"):
        reports = run_suite(suite, pythons, chosen, levels=levels, progress=progress)
    table = ConformanceTable(scope=scope.name, levels=levels, reports=reports, notes=tuple(notes))
    if levels == LEVELS:
        for one in reports:
            remember(one)
    if report is not None:
        write_report(table, report)
    _print(table, json=json)
    return 0 if table.passed else 1


def _print(table: ConformanceTable, *, json: bool) -> None:
    """The outcome on stdout: the tables and a line for each failure, or all of it as JSON."""
    from harness.cli.tables import stdout_console
    from harness.conformance.table import drawn, lines, to_json

    if json:
        print(to_json(table))
        return
    console = stdout_console()
    for shown in drawn(table):
        console.print(shown)
    for text in lines(table):
        console.print(text, markup=False, highlight=False)


def _manners(backend: str, tuning: Sequence[str], notes: list[str]) -> tuple[Manner, ...]:
    """Those asked for that the backend has, a note for each that it has not; an error where none is left."""
    from backends.registry import find
    from harness.planning.manners import check_manner, manners, manners_of

    registration = find(backend)
    asked = manners_of(registration, manners(tuning))
    has = registration.create().manners
    if not set(asked) & set(has):
        check_manner(registration, asked[0])
    notes += [f"not judged: {backend} has no {word} manner" for word in asked if word not in has]
    return tuple(word for word in asked if word in has)


def _levels(given: list[str] | None) -> tuple[str, ...]:
    from harness.conformance.outcome import LEVELS
    from specs.errors import unknown

    numbered = {str(number): name for number, name in enumerate(LEVELS, start=1)}
    wanted = {numbered.get(name, name) for name in given or LEVELS}
    for name in wanted - set(LEVELS):
        raise unknown("level", name, [*LEVELS, *numbered])
    return tuple(name for name in LEVELS if name in wanted)


def judged_backends(given: list[str] | None, python: Path | None) -> tuple[dict[str, Path], list[str]]:
    """Interpreter by backend, and a note for each framework that is not installed; an error where one was asked for."""
    from backends.registry import find
    from harness.cli.choosing import words
    from harness.processes.environments import distinct_python, installed
    from specs.errors import RequestError

    if python is not None and len(words(given or ())) != 1:
        raise RequestError("--python needs exactly one --backend, the one that it has")
    if given:
        names = dict.fromkeys(find(name).subject for name in words(given))
        taken: dict[tuple[str, Path], str] = {}
        return {name: distinct_python(name, taken, python) for name in names}, []
    found, missing = installed()
    return found, [f"not judged: {why}" for why in missing]
