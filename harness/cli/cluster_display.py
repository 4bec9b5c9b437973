"""What a person sees of a comparison on a cluster: the table of a sweep, and one of the machines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table

from harness.cli.progress import console, shown
from harness.cli.race_display import name
from harness.cli.sweep_display import NARROW, SweepDisplay, duration
from harness.execution.sweep import Sweep
from harness.planning.plan import RunPlan
from results.race import Race
from results.race_words import sentences
from results.words import Words


@dataclass
class _Standing:
    unit: str = ""
    doing: str = "free"
    note: str = ""
    since: float = field(default_factory=time.monotonic)


class ClusterDisplay(SweepDisplay):
    """Live on a terminal, one line per event elsewhere: see ``harness.execution.cluster.watching.ClusterWatch``."""

    def __init__(self, sweep: Sweep, *, quiet: bool) -> None:
        self._machines: dict[str, _Standing] = {}
        super().__init__(sweep, quiet=quiet)

    def joined(self, machine: str, told: str) -> None:
        """See ``ClusterWatch``."""
        self._machines[machine] = _Standing()
        self.line(f"{machine} takes part: {told}")

    def left_out(self, machine: str, why: str) -> None:
        """See ``ClusterWatch``."""
        self._machines.pop(machine, None)
        self._warn(f"{machine} is left out: {why}")

    def lost(self, machine: str, unit: str | None, why: str) -> None:
        """See ``ClusterWatch``."""
        self._machines.pop(machine, None)
        self._warn(f"{machine}: {why}" + ("" if unit is None else f"; {unit} is placed again"))

    def waiting(self, seconds: float) -> None:
        """See ``ClusterWatch``."""
        self._warn(f"no machine is there: waiting for one, at most {duration(seconds)}")

    def placed(self, machine: str, unit: str) -> None:
        """See ``ClusterWatch``."""
        self._machines[machine] = _Standing(unit=unit, doing="")
        self._tell_time_left()

    def told(self, machine: str, doing: str, note: str) -> None:
        """See ``ClusterWatch``."""
        standing = self._machines.setdefault(machine, _Standing())
        standing.doing, standing.note = doing, note

    def free(self, machine: str) -> None:
        """See ``ClusterWatch``."""
        self._machines[machine] = _Standing()

    def given_up(self, unit: str) -> None:
        """See ``ClusterWatch``."""
        self._warn(f"{unit} was given up: every machine that had it was lost; --resume tries it again")

    @property
    def _at_once(self) -> int:
        return max(1, len(self._machines))

    def _render(self) -> Group:
        return Group(machines_table(dict(self._machines), console.width), super()._render())

    def line(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._live.console.print(shown(text))

    def _warn(self, text: str) -> None:
        self._live.console.print(f"[yellow]warning[/] {shown(text)}")


class RaceLines:
    """Tells what races came to; while they go on they are units of machines (see ``harness.racing.cases.Watcher``)."""

    def __init__(self, display: ClusterDisplay) -> None:
        self._display = display

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """See ``Watcher``."""

    def standing(self, race: Race) -> None:
        """See ``Watcher``."""

    def finished(self, race: Race) -> None:
        """See ``Watcher``."""
        for sentence in sentences(race, Words(), lambda racer: name(race, racer)):
            self._display.line(f"{race.model} on {race.dataset}: {sentence}")


def machines_table(machines: dict[str, _Standing], width: int) -> Table:
    """A line per machine: what it does and for how long."""
    table = Table("machine", "unit", "for", "doing", box=None, padding=(0, 1, 0, 0))
    for machine, standing in sorted(machines.items()):
        doing = standing.doing if width < NARROW else f"{standing.doing} {standing.note}"
        since = duration(time.monotonic() - standing.since)
        table.add_row(shown(machine), shown(standing.unit), since, shown(doing))
    return table
