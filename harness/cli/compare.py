"""``compare``: the matrix of backends and models, repeats interleaved, ending in tables and a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import ComparisonChoices

if TYPE_CHECKING:
    from harness.planning.study import Study
    from results.store import ResultSet


@takes(ComparisonChoices)
def compare(
    chosen: Chosen[ComparisonChoices],
    study: Annotated[Path | None, typer.Argument(help="A study's YAML file, in place of the choices below.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where result sets lie; default: results/runs.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a set: run what has no record yet.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and an estimate of time, run nothing.")
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
    from harness.cli.matrix_display import MatrixDisplay, print_plan
    from harness.cli.race_display import RaceDisplay
    from harness.cli.report import check_form, print_report
    from harness.conformance.standing import standings
    from harness.measuring.peak import measure, remembered
    from harness.planning.study import matrix
    from harness.racing.cases import race_set
    from harness.running.matrix import Interrupted, Matrix
    from specs.errors import unknown

    check_form(json=json, csv=csv)
    asked = _study(study, chosen)
    if "baseline" in chosen.given and asked.baseline not in asked.backends:
        raise unknown("baseline", asked.baseline, asked.backends, where="--baseline")
    plans = matrix(asked)
    tell(Matrix.check(plans))
    place = (out or options.SETS) / asked.name
    if dry_run:
        print_plan(asked, plans, place)
        return 0
    results = _result_set(place, asked, study, _command(asked, out), resume=resume)
    with results.claim():
        runs = Matrix(asked, plans, results)
        threads = plans[0][1].threads
        if remembered(threads) is None:
            measure(threads)
        try:
            with MatrixDisplay(runs, quiet=quiet) as display:
                runs.run(display, display.finished)
            if asked.race:
                race_set(asked, plans, results, RaceDisplay(quiet=quiet))
        except (Interrupted, KeyboardInterrupt):
            print(f"interrupted; finished runs are safe in {place}. Continue with:", file=sys.stderr)
            print(f"  {_command(asked, out, '--resume')}", file=sys.stderr)
            return 130
        results.save_conformance(standings(results.rows()[0]))
        report = _report(place)
    if report is not None:
        print_report(report, json=json, csv=csv)
    rows, _ = results.rows()
    return 0 if report and all(row.status in ("ok", "unsupported") for row in rows) else 1


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


def _study(file: Path | None, chosen: Chosen[ComparisonChoices]) -> Study:
    from datetime import UTC, datetime

    from harness.planning.study import Study, load_study
    from specs.errors import RequestError

    name = chosen.given.get("name")
    if name is not None:
        _check_name(name)
    if file is not None:
        if others := [field for field in chosen.given if field != "name"]:
            option = others[0].replace("_", "-")
            raise RequestError(f"--{option} and a study file were both given: put the choice into {file}")
        loaded = load_study(file)
        return loaded if name is None else replace(loaded, name=name)
    return Study(**here({"name": datetime.now(UTC).strftime("compare-%Y%m%d-%H%M%S"), **chosen.given}))


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


def _check_name(name: str) -> None:
    import re

    from specs.errors import RequestError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RequestError(f"--name may hold letters, digits, '.', '_' and '-', got {name!r}")


def _result_set(place: Path, study: Study, file: Path | None, command: str, *, resume: bool) -> ResultSet:
    import shutil

    from results.files import explained
    from results.store import ResultSet
    from specs.errors import RequestError

    if resume and (place / "set.json").exists():
        results = ResultSet.open(place)
        before = type(study).from_dict(results.manifest.study).to_dict()
        changed = [key for key, value in study.to_dict().items() if before.get(key) != value]
        if changed:
            raise RequestError(
                f"--resume: {place} was made with another choice of {', '.join(changed)}; "
                "resume it with the same choices, or choose another --name"
            )
        return results
    results = ResultSet.create(place, name=study.name, study=study.to_dict(), command=command)
    if file is not None:
        with explained("write", place / "study.yaml"):
            shutil.copyfile(file, place / "study.yaml")
    return results


def _command(study: Study, out: Path | None, *more: str) -> str:
    from harness.planning.choices import command_line

    return command_line("compare", study, *(["--out", str(out)] if out else []), *more)
