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
    the framework in place of the pinned one.

    Example: `python -m harness setup torch keras@3.12.0`
    """
    from backends.registry import BACKENDS, find

    chosen = list(dict.fromkeys(map(find, backends or BACKENDS)))
    return _prune(chosen) if prune else _make(chosen, verify=bool(backends))


def _make(chosen: Sequence[Registration], *, verify: bool) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from harness.cli.setup_progress import SetupProgress
    from harness.measuring.machine import default_threads
    from harness.processes.environments import in_running_interpreter
    from harness.processes.made import made
    from harness.processes.managed import Environment, Interrupted
    from specs.errors import RequestError
    from specs.program import PROGRAM

    environments = {registration: Environment(registration) for registration in chosen}
    with SetupProgress() as progress:

        def ensure(registration: Registration) -> bool:
            subject = registration.subject
            if in_running_interpreter(registration):
                progress.finished(subject, f"the running interpreter has {registration.framework}")
                return True
            try:
                new = environments[registration].ensure(progress.of(subject), verify=verify)
            except Interrupted as error:
                progress.finished(subject, str(error))
                return False
            except RequestError as error:
                progress.finished(subject, f"failed: {error}")
                return False
            progress.finished(subject, "ready" if new else "was ready")
            return True

        # pip unpacks and compiles on one processor.
        with ThreadPoolExecutor(max_workers=default_threads()) as pool:
            try:
                outcomes = list(pool.map(ensure, chosen))
            except BaseException:
                for environment in environments.values():
                    environment.stop()
                pool.shutdown(cancel_futures=True)
                raise
    names = {registration.name for registration in chosen}
    for one in made():
        if one.name in names and one.subject is not None and not one.current:
            print(f"not used by this version, and removed by {PROGRAM} setup --prune: {one.directory}", file=sys.stderr)
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
