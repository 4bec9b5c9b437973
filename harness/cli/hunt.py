"""``hunt``: look for faults of the frameworks themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.planning import options

if TYPE_CHECKING:
    from backends.registry import Manner
    from harness.hunting.hunt import TrialRecord
    from harness.hunting.summary import Summary

HUNTS = Path("results") / "hunts"
_UNITS = {"s": 1, "m": 60, "h": 3600}


def hunt(
    backend: Annotated[
        list[str] | None, typer.Option(help="Hunt on this backend (repeatable); default: every framework installed.")
    ] = None,
    budget: Annotated[str, typer.Option(help="How long: 90s, 30m, 2h.", metavar="TIME")] = "10m",
    seed: Annotated[int, typer.Option(help="What the networks are drawn from.", min=0)] = 0,
    tuning: options.Manner = "recommended",
    out: Annotated[Path | None, typer.Option(help="The hunt's folder; default: in results/hunts.")] = None,
    quiet: options.Quiet = False,
) -> int:
    """Draw networks, train them five steps, and write down what differs from float64 and is not known.

    Typed again, it goes on where it stopped. Ends with status 1 where something new was found.

    Example: `python -m harness hunt --backend paddle --budget 30m --seed 1`
    """
    from rich.console import Console

    from harness.cli.conform import judged_backends
    from harness.hunting.hunt import records
    from harness.hunting.running import hunt_all
    from harness.hunting.summary import summaries
    from harness.planning.manners import manner

    seconds = _seconds(budget)
    pythons, notes = judged_backends(backend, None)
    chosen = manner(tuning)
    folder = out or HUNTS / f"seed-{seed}"
    console = Console(stderr=True, quiet=quiet)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)

    def progress(name: str, record: TrialRecord) -> None:
        if record.status == "disagrees":
            what = f"known: {record.known}" if record.known else f"new: {record.fault}: {record.text}"
            console.print(f"{name}, trial {record.number}: {what}", markup=False, highlight=False, soft_wrap=True)

    try:
        hunt_all(pythons, folder, tuning=chosen, seed=seed, seconds=seconds, progress=progress)
    except KeyboardInterrupt:
        console.print(f"interrupted; {folder} holds what was tried, the same command goes on")
        return 130
    found = summaries({name: records(folder, name, chosen) for name in pythons})
    _print(found, folder, chosen)
    return 1 if any(one.new for one in found) else 0


def _seconds(text: str) -> float:
    from specs.errors import RequestError

    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise RequestError(f"--budget must be a time such as 90s, 30m or 2h, got {text!r}")
    return seconds


def _print(found: list[Summary], folder: Path, tuning: Manner) -> None:
    from harness.cli.tables import print_table
    from harness.hunting.hunt import finding_folder

    columns = ("backend", "trials", "agree", "unsupported", "near kinks", "known differences", "new", "slow")
    rows = [
        (
            *(one.backend, str(one.trials), str(one.agrees), str(one.unsupported), str(one.skipped)),
            ", ".join(f"{name} {times}" for name, times in one.known.items()),
            *(str(len(one.new)), str(len(one.slow))),
        )
        for one in found
    ]
    print_table("Hunt", columns, rows, right=set(columns) - {"backend", "known differences"})
    for one in found:
        for record in one.new:
            place = finding_folder(folder, one.backend, tuning, record.number)
            print(f"{one.backend}, {record.fault}: {record.text} ({place})")
        if one.slow:
            print(f"{one.backend} predicts over a hundred times slower than another: trials {one.slow}")
