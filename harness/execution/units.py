"""What is placed as a whole on one machine: a round of a case, so that no ratio is ever of two machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from harness.planning.finished import Planned
from harness.planning.plan import RunPlan


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A round of a case (model and data set): its runs under their names, in the order of running.

    A run during which the machine was busy is repeated up to ``retry_noisy`` times.
    """

    runs: tuple[Planned, ...]
    retry_noisy: int = 0

    @property
    def name(self) -> str:
        """What people call it."""
        plan = self.runs[0][1]
        return f"{plan.architecture.name} on {plan.dataset}, round {plan.round + 1}"


def units_of(planned: Iterable[Planned], *, retry_noisy: int = 0) -> list[Unit]:
    """The units of runs, nothing in another order than it was given."""
    return [Unit(runs=tuple(runs), retry_noisy=retry_noisy) for _, runs in groupby(planned, _round_of_case)]


def _round_of_case(planned: Planned) -> tuple[int, str, str]:
    plan: RunPlan = planned[1]
    return plan.round, plan.model, plan.dataset
