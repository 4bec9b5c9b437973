"""The cases of a comparison, and what a race of one asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.planning.plan import RunPlan
from harness.planning.study import Study
from harness.racing.race import Rules
from results.race import Race


@dataclass(frozen=True, kw_only=True)
class RaceTask:
    """A race to be held: see ``harness.racing.plans.run_race`` for what it is of."""

    plans: tuple[RunPlan, ...]
    rules: Rules
    baseline: str
    needs_mb: Mapping[int, float] = field(default_factory=dict)


class Watcher(Protocol):
    """Hears how races go."""

    def begun(self, plans: Sequence[RunPlan]) -> None:
        """Workers are being opened for a race of these."""

    def standing(self, race: Race) -> None:
        """The race after another round."""

    def finished(self, race: Race) -> None:
        """The race has ended."""


def cases(plans: Iterable[RunPlan]) -> list[list[RunPlan]]:
    """Plans that differ in backend and manner alone, two at the least, of the first seed and round of each case."""
    groups: dict[tuple[str, str], list[RunPlan]] = {}
    for plan in plans:
        group = groups.setdefault((plan.model, plan.dataset), [])
        if not group or (plan.seed, plan.round) == (group[0].seed, group[0].round):
            group.append(plan)
    return [group for group in groups.values() if len(group) > 1]


def rules_of(study: Study) -> Rules:
    """What the study asks of its races."""
    return Rules(target=study.precision_target / 100, budget_s=study.budget)
