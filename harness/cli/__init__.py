"""The command line: one module per command, each importing what it needs only when it runs (``--help`` stays fast).

Exit status: 0 done; 1 a run or a check failed; 2 the request was wrong; 3 a gate is undecided; 130 interrupted.
Messages and progress go to stderr, results to stdout.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from harness.cli import (
    benchmark_inference,
    cluster,
    compare,
    conform,
    data,
    doctor,
    evaluate,
    export,
    gate,
    hunt,
    listing,
    peak,
    predict,
    profile,
    race,
    report,
    results,
    run,
    setup,
    show,
)
from harness.cli.streams import lost_output, prepare_streams
from harness.running.interrupts import stop_like_ctrl_c
from specs.errors import RequestError
from specs.program import PROGRAM, VERSION

app = typer.Typer(
    name="harness",
    add_completion=PROGRAM == "harness",  # a shell completes the words after a program, not after `python -m`
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("race")(race.race)
app.command("gate")(gate.gate)
app.command("conform")(conform.conform)
app.command("hunt")(hunt.hunt)
app.command("report")(report.report)
app.command("list")(listing.list_)
app.command("show")(show.show)
app.command("setup")(setup.setup)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("benchmark-inference")(benchmark_inference.benchmark_inference)
app.command("peak")(peak.peak)
app.command("profile")(profile.profile)
app.add_typer(data.app, name="data")
app.add_typer(results.app, name="results")
app.add_typer(cluster.app, name="cluster")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"framework-harness {VERSION}")
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Train one network in PyTorch, Keras, PaddlePaddle, MindSpore and NumPy on identical inputs, and compare."""


def main() -> None:
    """Run the command line and exit; a wrong request ends as one line on stderr and status 2."""
    prepare_streams()
    stop_like_ctrl_c()
    status = _status(typer.main.get_command(app))
    if reason := lost_output():
        status = status or _complain(f"stdout: {reason}: what was printed is not all there")
    sys.exit(status)


def _status(command: Any) -> int:
    command.invoke = partial(_invoked, command.invoke)
    try:
        status = command.main(sys.argv[1:] or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except RequestError as error:
        return _complain(str(error))
    except typer.TyperException as error:
        return _complain(error.format_message())
    except OSError as error:  # a name too long, a folder that may not be entered: the path is the user's
        if error.filename is None:
            raise
        return _complain(f"{error.filename}: {error.strerror or error}")
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


def _invoked(invoke: Callable[[Any], Any], context: Any) -> Any:
    """What the command returns; one that lets an interrupt through, which typer keeps to itself, says so."""
    try:
        return invoke(context)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise


def _complain(message: str) -> int:
    line = " ".join(message.split())
    # A path or a file's content may hold escape sequences that a terminal would obey.
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print(f"error: {visible}", file=sys.stderr)
    return 2
