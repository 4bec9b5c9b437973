"""How far a machine is, in lines for a table that is elsewhere: few enough that telling them disturbs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from harness.planning.plan import RunPlan
from harness.running.events import Begun, RunEvent, Trouble
from harness.worker.reports import EpochReport, Phase, Progress
from results.race import Race

NOTE_EVERY_S = 1.0

Tell = Callable[[str, str], None]
"""Called with what is being done, a run or a race by its name, and with how far it is."""


class UnitNotes:
    """Hears the events of runs: see ``harness.running.events``."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._run = ""
        self._told_at = 0.0

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Begun():
                self._run = event.run_id
                self._tell(self._run, "")
            case Phase():
                self._tell(self._run, event.phase)
            case Progress() if time.monotonic() > self._told_at + NOTE_EVERY_S:
                self._told_at = time.monotonic()
                self._tell(self._run, f"epoch {event.epoch}, loss {event.loss:.4f}")
            case EpochReport():
                self._tell(self._run, f"epoch {event.epoch} done")
            case Trouble():
                self._tell(self._run, f"warning: {event.text}")


class RaceNotes:
    """Hears how a race goes: see ``harness.racing.cases.Watcher``."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._name = ""

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """See ``Watcher``."""
        self._name = f"race: {plans[0].architecture.name} on {plans[0].dataset}"
        self._tell(self._name, "opening")

    def standing(self, race: Race) -> None:
        """See ``Watcher``."""
        self._tell(self._name, f"opening {len(race.openings)}, {race.rounds} rounds")

    def finished(self, race: Race) -> None:
        """See ``Watcher``."""
        self._tell(self._name, "done")
