"""What the commands that put a checkpoint to work have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backends.registry import alternatives

if TYPE_CHECKING:
    from harness.checkpoints import Checkpoint

CheckpointFolder = Annotated[
    Path, typer.Option("--checkpoint", help="A folder that run --save wrote.", metavar="FOLDER")
]
Backend = Annotated[str | None, typer.Option("--backend", help=f"{alternatives()}; default: what trained it.")]


def opened_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint, what is odd about it told on stderr. Raises RequestError."""
    from harness.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(folder)
    tell(checkpoint.notices())
    return checkpoint


def tell(notes: list[str]) -> None:
    """Say each on a line of its own on stderr."""
    from results.formatting import plain

    for note in notes:
        print(f"note: {plain(note)}", file=sys.stderr)


@contextmanager
def failures_as_one_line(backend: str) -> Iterator[None]:
    """A framework that fails, or cannot compute what is asked, ends the command with one line and status 1."""
    from backends.contract import Unsupported
    from harness.processes.launcher import WorkerFailed
    from results.formatting import plain

    try:
        yield
    except (WorkerFailed, Unsupported) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        print(f"error: {backend}: {plain(reason)}", file=sys.stderr)
        raise typer.Exit(1) from None
