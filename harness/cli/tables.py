"""Tables on stdout, as wide as they need to be where no terminal bounds them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 10_000  # nothing is cut: tables are as wide as what is in them


def stdout_console() -> Console:
    """A console on stdout; without a terminal no line is folded at 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    footer: Sequence[str] | None = None,
) -> None:
    """A titled table of plain texts (no markup is read in them); columns in ``right`` are right-aligned."""
    table = Table(box=SIMPLE_HEAD, show_footer=footer is not None)
    for index, column in enumerate(columns):
        table.add_column(
            column, justify="right" if column in right else "left", footer=Text(footer[index]) if footer else ""
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = stdout_console()
    console.print(Text(title, style="bold"))
    console.print(table)
