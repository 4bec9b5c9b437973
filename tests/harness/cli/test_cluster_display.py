"""What is to be seen of a comparison on a cluster: who does what, how long already, how long still."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import cluster_display, sweep_display
from harness.cli.cluster_display import ClusterDisplay
from tests.harness.execution.clusters import comparison, ignore, rounds


@pytest.mark.parametrize("width", [60, 120])
def test_a_line_per_machine(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = io.StringIO()
    console = Console(file=seen, width=width, force_terminal=False)
    for module in (sweep_display, cluster_display):
        monkeypatch.setattr(module, "console", console)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    planned = rounds(5)
    with comparison(tmp_path / "set", planned[:2]) as sweep:
        sweep.run(ignore, ignore)
    with comparison(tmp_path / "set", planned) as sweep:
        display = ClusterDisplay(sweep, quiet=False)
    for machine in ("a", "b"):
        display.joined(machine, "Some CPU, 8 CPUs")
    display.placed("a", "tiny on tiny, round 2")
    display.told("a", "fake-r1", "epoch 1, [red]loss 0.5")
    display.lost("b", None, "it has gone")
    console.print(display._render())
    text = seen.getvalue()
    assert "a takes part: Some CPU, 8 CPUs" in text
    assert "warning b: it has gone" in text
    (line,) = [line for line in text.splitlines() if line.startswith("a ") and "round 2" in line]
    assert "fake-r1" in line
    assert ("[red]loss 0.5" in line) == (width > 80), "what a machine says is no markup"
    display.joined("b", "Some CPU, 8 CPUs")
    both = display._time_left()
    display.left_out("b", "another version")
    assert both.startswith("about ")
    assert display._at_once == 1


def test_the_table_of_machines_holds_while_it_is_drawn() -> None:
    standing = cluster_display._Standing(unit="u", doing="d")
    table = cluster_display.machines_table({"m": replace(standing, since=standing.since - 90)}, 120)
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    assert "90 s" in console.file.getvalue()
