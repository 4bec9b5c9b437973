"""What a narrow terminal shows of a sweep: whole words of what matters first."""

from rich.console import Console

from harness.cli.sweep_display import rows_table
from results.record import Record
from tests.results.records import study


def test_the_live_table_is_readable_at_50_columns() -> None:
    rows = list(study())
    said = drawn(rows, 50)
    lines = said.splitlines()
    assert len(lines) == 1 + len({(row.model, row.backend) for row in rows}), "no line is folded"
    assert max(map(len, lines)) <= 50
    for words in ("model", "backend", "accuracy", "samples/s", "failed", "mindspore", "timed_out"):
        assert words in said
    for words in ("dataset", "peak MiB"):
        assert words not in said
        assert words in drawn(rows, 120)


def drawn(rows: list[Record], width: int) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(rows_table(rows, width))
    return captured.get()
