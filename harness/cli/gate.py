"""``gate``: whether a candidate may take the place of a base, for a merge or an upgrade to hang on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import GateChoices

if TYPE_CHECKING:
    from harness.gating.trial import GateTrial
    from results.store import ResultSet


@takes(GateChoices)
def gate(
    chosen: Chosen[GateChoices],
    base: Annotated[str, typer.Argument(help="What is there: BACKEND, BACKEND@VERSION, BACKEND:MANNER.")],
    candidate: Annotated[str, typer.Argument(help="What shall take its place.")],
    name: Annotated[str | None, typer.Option(help="Name of the result set; default: gate and the time.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where result sets lie; default: results/runs.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the checks as JUnit XML.", metavar="FILE")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary in Markdown.", metavar="FILE")] = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="Write github-action-benchmark's JSON (customSmallerIsBetter).", metavar="FILE")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Hold a candidate against a base: training time, peak memory, accuracy, sameness, in one session on this machine.

    Exit status: 0 no regression beyond the limits, with 95 % confidence; 1 a regression, its whole interval beyond a
    limit; 3 undecided within the budget.

    Example: `python -m harness gate torch torch:expert --models lenet5 --max-slowdown 5%`
    """
    from harness.cli.checkpoint_options import tell
    from harness.cli.gate_output import GateWatch, check_forms, print_gate, write_forms
    from harness.cli.sweep_display import SweepDisplay
    from harness.execution.engine import Interrupted
    from harness.execution.sweep import Sweep
    from harness.gating.limits import limits_of
    from harness.gating.sides import runs_of, sided
    from harness.gating.stored import stored_base
    from harness.gating.telling import told
    from harness.gating.trial import GateTrial
    from results.gate.outcome import EXIT_STATUS

    choices = chosen.made()
    check_forms((junit, markdown, benchmark))
    sets = out or options.SETS
    trial = GateTrial(
        base=sided(base, choices),
        candidate=sided(candidate, choices),
        limits=limits_of(choices),
        budget_s=choices.budget,
    )
    stored = _stored(choices, sets)
    bases = None if stored is None else stored_base(trial.base, stored)
    plans = runs_of(None if stored is not None else trial.base, trial.candidate)
    tell(Sweep.check(plans))
    results = _created(name, sets, choices, trial)
    with results.claim():
        runs = Sweep(trial.candidate.study, plans, results)
        try:
            with SweepDisplay(runs, quiet=quiet) as display:
                runs.run(display, display.finished)
            with GateWatch(quiet=quiet) as watch:
                cases = trial.judge(results, watch) if bases is None else trial.judge_against(bases, results)
        except (Interrupted, KeyboardInterrupt):
            print(f"interrupted; finished runs are in {results.path}", file=sys.stderr)
            return 130
    outcome = told(trial, cases, results, None if bases is None or stored is None else (stored, bases))
    print_gate(outcome, json=json)
    write_forms(outcome, junit=junit, markdown=markdown, benchmark=benchmark)
    return EXIT_STATUS[outcome.verdict]


def _stored(choices: GateChoices, sets: Path) -> ResultSet | None:
    from results.sets import find_set
    from results.store import ResultSet

    return None if choices.against is None else ResultSet.open(find_set(choices.against, sets))


def _created(name: str | None, sets: Path, choices: GateChoices, trial: GateTrial) -> ResultSet:
    from datetime import UTC, datetime

    from harness.cli.compare import check_name
    from harness.planning.choices import command_line
    from results.store import ResultSet
    from specs.errors import RequestError

    called = name or datetime.now(UTC).strftime("gate-%Y%m%d-%H%M%S")
    check_name(called)
    if (sets / called / "set.json").exists():
        raise RequestError(f"{sets / called} already holds a result set: choose another --name")
    command = command_line("gate", choices, trial.base.named, trial.candidate.named)
    return ResultSet.create(sets / called, name=called, study={}, command=command)
