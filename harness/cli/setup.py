"""``setup``: make the environments of the backends."""

import sys
from functools import partial
from typing import Annotated

import typer


def setup(
    backends: Annotated[list[str] | None, typer.Argument(help="Which; default: all.", show_default=False)] = None,
) -> int:
    """Make each backend's own virtual environment, or repair it; nothing is done where it is ready.

    Of the backends that are named the framework is imported to see whether they are.

    Example: `python -m harness setup torch paddle`
    """
    from backends.registry import BACKENDS, find
    from harness.environments import Environment, in_running_interpreter
    from specs.errors import RequestError

    failed = 0
    for registration in [find(name) for name in backends] if backends else list(BACKENDS.values()):
        if in_running_interpreter(registration):
            print(f"{registration.name}: the running interpreter has {registration.framework}", file=sys.stderr)
            continue
        environment = Environment(registration)
        try:
            made = environment.ensure(partial(_progress, registration.name), verify=bool(backends))
        except RequestError as error:
            _finish(registration.name, f"failed: {error}")
            failed += 1
        else:
            _finish(registration.name, "ready" if made else "was ready")
    return 1 if failed else 0


# The lines worth keeping where the terminal cannot rewrite one line in place.
_MILESTONES = ("creating", "removing", "waiting", "importing", "Collecting", "Installing collected")


def _progress(name: str, line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{name}: {line[:100]}", end="", file=sys.stderr, flush=True)
    elif line.startswith(_MILESTONES):
        print(f"{name}: {line[:160]}", file=sys.stderr, flush=True)


def _finish(name: str, outcome: str) -> None:
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{start}{name}: {outcome}", file=sys.stderr, flush=True)
