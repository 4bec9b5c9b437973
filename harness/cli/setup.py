"""``setup``: make the environments of the backends, and remove those that nothing names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backends.registry import Registration


def setup(
    backends: Annotated[
        list[str] | None,
        typer.Argument(help="Which, or in which version: NAME@VERSION; default: all.", show_default=False),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            help="Packages for which machine: cpu or cuda; kept for later commands. Default: as before, at first cpu.",
            show_default=False,
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Make nothing; remove the environments that no pin names, and no NAME@VERSION given here.",
        ),
    ] = False,
) -> int:
    """Make each backend's own virtual environment, or repair it; nothing is done where it is ready.

    Of the backends that are named the framework is imported to see whether they are. NAME@VERSION has that version of
    the framework in place of the pinned one. How much must be downloaded is said before.

    Example: `python -m harness setup torch keras@3.12.0 --variant cpu`
    """
    from backends.registry import BACKENDS, find
    from harness.processes.pins import VARIANTS
    from specs.errors import RequestError, unknown

    if variant is not None and variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    if prune and variant is not None:
        raise RequestError("--prune removes what is not in use, whatever its variant; --variant is for making")
    chosen = list(dict.fromkeys(map(find, backends or BACKENDS)))
    return _prune(chosen) if prune else _make(chosen, variant, verify=bool(backends))


def _make(chosen: Sequence[Registration], variant: str | None, *, verify: bool) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from harness.cli.setup_progress import SetupProgress
    from harness.cli.setup_steps import SettingUp
    from harness.measuring.machine import default_threads
    from harness.processes.made import made
    from specs.program import PROGRAM

    with SetupProgress() as progress:
        each = [SettingUp(registration, variant, progress, verify=verify) for registration in chosen]
        # pip unpacks and compiles on one processor.
        with ThreadPoolExecutor(max_workers=default_threads()) as pool:
            try:
                list(pool.map(SettingUp.announce, each))  # of all before the first is downloaded
                outcomes = list(pool.map(SettingUp.make, each))
            except BaseException:
                for one in each:
                    one.stop()
                pool.shutdown(cancel_futures=True)
                raise
    names = {registration.name for registration in chosen}
    for old in made():
        if old.name in names and old.subject is not None and not old.current:
            print(f"not in use, and removed by {PROGRAM} setup --prune: {old.directory}", file=sys.stderr)
    return 0 if all(outcomes) else 1


def _prune(named: Sequence[Registration]) -> int:
    """Remove what neither the pins nor ``named`` lead to, saying what and how large it was."""
    from harness.processes.made import unnamed

    removed = failed = 0
    freed = 0.0
    for one in unnamed(named):
        size = one.size_mb()
        what = f"{one.subject or f'{one.name}, half-made'} ({size:,.0f} MiB): {one.directory}"
        try:
            gone = one.remove()
        except OSError as error:
            print(f"not removed, {error.strerror}: {what}", file=sys.stderr)
            failed += 1
            continue
        print(f"removed {what}" if gone else f"left alone, a set-up of {one.name} is under way: {what}")
        removed, freed = removed + gone, freed + size * gone
    print(f"{removed} environments removed, {freed:,.0f} MiB")
    return 1 if failed else 0
