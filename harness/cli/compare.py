"""``compare``: the matrix of backends and models, repeats interleaved, ending in tables and a report."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options
from specs.program import PROGRAM


def compare(
    study: Annotated[Path | None, typer.Argument(help="A study's YAML file, in place of the choices below.")] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends", "--backend", help='Names, or "all" that are installed (the default).', metavar="A,B,…"
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option("--models", "--model", help='Names or YAML files, or "all" (the default).', metavar="A,B,…"),
    ] = None,
    datasets: Annotated[
        str | None, typer.Option("--datasets", "--dataset", help="Default: mnist.", metavar="A,B,…")
    ] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", "--seed", help="Default: 0.", metavar="N,N,…")] = None,
    repeats: Annotated[int | None, typer.Option(help="Interleaved rounds; default: 3.")] = None,
    recipe: options.RecipeName = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    limit_train: options.LimitTrain = None,
    limit_test: options.LimitTest = None,
    threads: options.Threads = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, float64 or bfloat16.")] = None,
    tuning: Annotated[
        str | None,
        typer.Option(
            help='default, recommended (unless told otherwise), expert; several, or "all" for those that each has.',
            metavar="MANNER,…",
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="The backend that ratios refer to; default: torch.")] = None,
    timeout: options.Timeout = None,
    stall_timeout: options.StallTimeout = None,
    memory_limit: options.MemoryLimit = None,
    retry_noisy: Annotated[
        int | None, typer.Option(help="Repeat a run up to N times when the machine was busy.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the result set; default: from the models and the time.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where result sets lie; default: results/runs.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a set: run what has no record yet.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and an estimate of time, run nothing.")
    ] = False,
    data_dir: options.DataDir = None,
    json: options.Json = False,
    csv: options.Csv = False,
    quiet: options.Quiet = False,
) -> int:
    """Train every model on every backend, repeats interleaved; ends with a table and a report.

    The runs are there to be measured: no checkpoints are kept (`run` keeps its own).

    Example: `python -m harness compare --backends torch,keras --models lenet5 --datasets digits --epochs 2 --repeats 3`
    """
    from harness.cli.checkpoint_options import tell
    from harness.cli.matrix_display import MatrixDisplay, print_plan
    from harness.cli.report import check_form, print_report
    from harness.conformance.standing import standings
    from harness.measuring.peak import measure, remembered
    from harness.planning.study import matrix
    from harness.running.matrix import Interrupted, Matrix
    from specs.errors import unknown

    check_form(json=json, csv=csv)
    flags = {
        "backends": _list(backends),
        "models": _list(models),
        "datasets": _list(datasets),
        "seeds": _integers("seeds", seeds),
        "repeats": repeats,
        "recipe": recipe,
        "epochs": epochs,
        "batch_size": batch_size,
        "limit_train": limit_train,
        "limit_test": limit_test,
        "threads": threads,
        "device": device,
        "precision": precision,
        "tuning": _list(tuning),
        "baseline": baseline,
        "timeout": timeout,
        "stall_timeout": stall_timeout,
        "memory_limit": memory_limit,
        "retry_noisy": retry_noisy,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    chosen = _study(study, given, name)
    if baseline is not None and chosen.baseline not in chosen.backends:
        raise unknown("baseline", chosen.baseline, chosen.backends, where="--baseline")
    plans = matrix(chosen, data_dir=data_dir)
    tell(Matrix.check(plans, data_dir))
    place = (out or options.SETS) / chosen.name
    if dry_run:
        print_plan(chosen, plans, place, data_dir)
        return 0
    results = _result_set(place, chosen, study, resume=resume)
    with results.claim():
        runs = Matrix(chosen, plans, results, data_dir)
        threads = plans[0][1].threads
        if remembered(threads) is None:
            measure(threads)
        try:
            with MatrixDisplay(runs, quiet=quiet) as display:
                runs.run(display, display.finished)
        except Interrupted:
            print(f"interrupted; finished runs are safe in {place}. Continue with:", file=sys.stderr)
            print(f"  {_resume_command(chosen, out, data_dir)}", file=sys.stderr)
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


def _study(file: Path | None, given: dict[str, Any], name: str | None) -> Any:
    from datetime import UTC, datetime

    from harness.cli.checkpoint_options import tell
    from harness.planning.study import Study, load_study
    from harness.processes.environments import installed
    from specs.errors import RequestError

    if file is not None:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise RequestError(f"--{option} and a study file were both given: put the choice into {file}")
        loaded = load_study(file)
        return loaded if name is None else Study.from_dict({**loaded.to_dict(), "name": name})
    title = name or datetime.now(UTC).strftime("compare-%Y%m%d-%H%M%S")
    _check_name(title)
    if "all" in given.get("backends", ("all",)):
        here, missing = installed()
        others = (name for name in given.get("backends", ()) if name != "all")
        given = {**given, "backends": (*here, *others)}
        tell([f"left out: {why}" for why in missing])
    return Study(name=title, **given)


def _check_name(name: str) -> None:
    import re

    from specs.errors import RequestError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RequestError(f"--name may hold letters, digits, '.', '_' and '-', got {name!r}")


def _result_set(place: Path, study: Any, file: Path | None, *, resume: bool) -> Any:
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
    results = ResultSet.create(place, name=study.name, study=study.to_dict(), command=_command())
    if file is not None:
        with explained("write", place / "study.yaml"):
            shutil.copyfile(file, place / "study.yaml")
    return results


def _command() -> str:
    import shlex

    return shlex.join([*PROGRAM.split(), *sys.argv[1:]])


def _resume_command(study: Any, out: Path | None, data_dir: Path | None) -> str:
    import shlex

    words = [*PROGRAM.split(), "compare"]
    defaults = type(study)(name=study.name).to_dict()
    for key, value in study.to_dict().items():
        if value is not None and (key == "name" or value != defaults[key]):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{key.replace('_', '-')}", text]
    for option, path in (("--out", out), ("--data-dir", data_dir)):
        words += [option, str(path)] if path is not None else []
    return shlex.join([*words, "--resume"])


def _list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _integers(option: str, text: str | None) -> tuple[int, ...] | None:
    from specs.errors import RequestError

    names = _list(text)
    if names is None:
        return None
    if not all(name.isdigit() for name in names):
        raise RequestError(f"--{option} must be integers separated by commas, got {text!r}")
    return tuple(int(name) for name in names)
