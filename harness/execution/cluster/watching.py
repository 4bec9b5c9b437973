"""What is to be seen of a cluster at work."""

from __future__ import annotations

from typing import Protocol


class ClusterWatch(Protocol):
    """Hears what machines do; all are called by their names."""

    def joined(self, machine: str, told: str) -> None:
        """A machine takes part from now on; ``told`` says what it is."""

    def left_out(self, machine: str, why: str) -> None:
        """A machine takes no part."""

    def lost(self, machine: str, unit: str | None, why: str) -> None:
        """A machine has gone or failed; what it was doing, if anything, is placed again."""

    def waiting(self, seconds: float) -> None:
        """No machine is there; one may come for so long."""

    def placed(self, machine: str, unit: str) -> None:
        """A machine begins a unit."""

    def told(self, machine: str, doing: str, note: str) -> None:
        """How far it is."""

    def free(self, machine: str) -> None:
        """It has finished what it had."""

    def given_up(self, unit: str) -> None:
        """Every machine that had this unit was lost."""
