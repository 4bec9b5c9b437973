"""``compare``: the sweep of backends and models, repeats interleaved, ending in tables and a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import ComparisonChoices

if TYPE_CHECKING:
    from harness.execution.sweep import Sweep
    from harness.planning.study import Study
    from results.store import ResultSet


@takes(ComparisonChoices)
def compare(
    chosen: Chosen[ComparisonChoices],
    study: Annotated[Path | None, typer.Argument(help="A study's YAML file, in place of the choices below.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where result sets lie; default: results/runs.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue a set: what has no record yet, and what is added."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and an estimate of time, run nothing.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Carry it out on the machines of a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, a YAML file that "
            "says where it is, or local:2, two workers on this machine for a try.",
            metavar="ADDRESS|FILE",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Take a cluster without TLS though other computers can reach it.")
    ] = False,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> int:
    """Train every model on every backend, repeats interleaved, then race them; ends with tables and a report.

    The runs are there to be measured: no checkpoints are kept (`run` keeps its own).

    Example: `python -m harness compare --backends torch,keras --models lenet5 --datasets digits --epochs 2 --repeats 3`
    """
    from harness.cli.checkpoint_options import tell
    from harness.cli.cluster_runs import check_cluster
    from harness.cli.report import check_form, print_report
    from harness.cli.sweep_display import print_plan
    from harness.conformance.standing import standings
    from harness.execution.engine import Interrupted
    from harness.execution.sweep import Sweep
    from harness.planning.study import plans_of
    from results.store import ResultSet

    check_form(json=json, csv=csv)
    sets = out or options.SETS
    given = _given(study, chosen)
    check_cluster(cluster, insecure=insecure, reach=not dry_run)
    if cluster is None and ("backends" in given or not resume):
        given = here(given)
    results = _to_resume(sets, given) if resume else None
    asked = _study(given, results)
    check_baseline(asked, chosen.given)
    plans = plans_of(asked)
    tell(Sweep.check(plans, elsewhere=cluster is not None))
    place = sets / asked.name
    if dry_run:
        print_plan(asked, Sweep(asked, plans, results).remaining() if results else plans, place)
        return 0
    command = _command(asked, out)
    results = results or ResultSet.create(place, name=asked.name, study=asked.to_dict(), command=command)
    with results.claim():
        results.grow(asked.to_dict(), command)
        if study is not None:
            _keep_file(study, place / "study.yaml")
        runs = Sweep(asked, plans, results)
        try:
            _carry_out(runs, cluster, insecure=insecure, quiet=quiet)
        except (Interrupted, KeyboardInterrupt):
            where = [] if cluster is None else ["--cluster", cluster, *(["--insecure"] if insecure else [])]
            print(f"interrupted; finished runs are safe in {place}. Continue with:", file=sys.stderr)
            print(f"  {_command(asked, out, *where, '--resume')}", file=sys.stderr)
            return 130
        results.save_conformance(standings(results.rows()[0]))
        report = _report(place)
    if report is not None:
        print_report(report, json=json, csv=csv)
    return 0 if report is not None and _all_well(runs) else 1


def _all_well(runs: Sweep) -> bool:
    """Whether every run has a record, none failed, and none is of a backend that computes something else."""
    rows, _ = runs.results.rows()
    return not runs.remaining() and all(row.status in ("ok", "unsupported") and not row.disproved for row in rows)


def _carry_out(runs: Sweep, cluster: str | None, *, insecure: bool, quiet: bool) -> None:
    """On this machine, or on those of a cluster. Raises what the runs, the races and their set do."""
    from harness.cli.cluster_runs import carry_out

    if cluster is None:
        _carry_out_here(runs, quiet=quiet)
    else:
        carry_out(runs, cluster, insecure=insecure, quiet=quiet)


def _carry_out_here(runs: Sweep, *, quiet: bool) -> None:
    """On this machine. Raises what the runs, the races and their set do."""
    from harness.cli.race_display import RaceDisplay
    from harness.cli.sweep_display import SweepDisplay
    from harness.execution.races import race_set
    from harness.measuring.peak import measure, remembered

    threads = runs.plans[0][1].threads
    if remembered(threads) is None:
        measure(threads)
    with SweepDisplay(runs, quiet=quiet) as display:
        runs.run(display, display.finished)
    if runs.study.race:
        with RaceDisplay(quiet=quiet) as watch:
            race_set(runs.study, runs.plans, runs.results, watch, runs.local())


def _report(place: Path) -> Any:
    """The report; None where making it failed, which is told in one line: the records are safe."""
    from results.report import build
    from specs.errors import RequestError

    try:
        return build([place])  # set.json names the baseline; it counts where it ran
    except RequestError:
        raise
    except Exception as error:  # whatever a plot or a table met: the runs have taken hours, and are recorded
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"warning: the report could not be made: {reason}; the records are safe", file=sys.stderr)
        return None


def _given(file: Path | None, chosen: Chosen[ComparisonChoices]) -> Mapping[str, Any]:
    """The choices as flags or as a study's file give them."""
    from dataclasses import asdict

    from harness.planning.study import load_study
    from specs.errors import RequestError

    name = chosen.given.get("name")
    if name is not None:
        check_name(name)
    if file is None:
        return chosen.given
    if others := [field for field in chosen.given if field != "name"]:
        option = ("no-" if chosen.given[others[0]] is False else "") + others[0].replace("_", "-")
        raise RequestError(f"--{option} and a study file were both given: put the choice into {file}")
    return {**asdict(load_study(file)), **chosen.given}


def _study(given: Mapping[str, Any], results: ResultSet | None) -> Study:
    """What is asked of a new set, or of ``results`` with what was given added to it."""
    from datetime import UTC, datetime

    from harness.planning.growing import grown
    from harness.planning.study import Study

    if results is not None:
        return grown(results, given)
    return Study(**{"name": datetime.now(UTC).strftime("compare-%Y%m%d-%H%M%S"), **given})


def here(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, "all" backends being those that are installed; what is left out is told."""
    from harness.cli.checkpoint_options import tell
    from harness.processes.environments import installed

    wanted = given.get("backends", ("all",))
    if "all" not in wanted:
        return dict(given)
    there, missing = installed()
    tell([f"left out: {why}" for why in missing])
    return {**given, "backends": (*there, *(backend for backend in wanted if backend != "all"))}


def check_baseline(study: Study, given: Mapping[str, Any]) -> None:
    """Raise RequestError for a baseline that was named and takes no part."""
    from specs.errors import unknown

    if "baseline" in given and study.baseline not in study.backends:
        raise unknown("baseline", study.baseline, study.backends, where="--baseline")


def check_name(name: str) -> None:
    import re

    from specs.errors import RequestError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RequestError(f"--name may hold letters, digits, '.', '_' and '-', got {name!r}")


def _to_resume(sets: Path, given: Mapping[str, Any]) -> ResultSet:
    from results.sets import find_set
    from results.store import ResultSet
    from specs.errors import RequestError

    if "name" not in given:
        raise RequestError("--resume continues a set: give its --name (results list shows them)")
    return ResultSet.open(find_set(given["name"], sets))


def _keep_file(file: Path, place: Path) -> None:
    import shutil

    from results.files import explained

    with explained("write", place):
        shutil.copyfile(file, place)


def _command(study: Study, out: Path | None, *more: str) -> str:
    from harness.planning.choices import command_line

    return command_line("compare", study, *(["--out", str(out)] if out else []), *more)
