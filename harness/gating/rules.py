"""When the race of a gate has enough: as soon as its interval lies on one side of the limit."""

from __future__ import annotations

from harness.racing.race import MOST_OPENINGS, Rules
from results.gate.checks import Status, time_check
from results.race import Race

OPENING_S = 6.0
"""Seconds of turns in an opening: what openings differ by is seen in more of them and not in longer ones."""
LOOKS = frozenset({3, 6, 12, 24, 48, 96})
"""After how many openings the interval is looked at: each look may be wrong by chance, so there are few."""
NEVER_PRECISE = 0.001


def rules_of(budget_s: float, limit: float) -> Rules:
    """Of the race of a gate with so many seconds for turns and so many per cent more time allowed."""

    def enough(race: Race) -> bool:
        return len(race.openings) in LOOKS and time_check(race, limit).status is not Status.UNDECIDED

    openings = max(MOST_OPENINGS, int(budget_s / OPENING_S))
    return Rules(target=NEVER_PRECISE, budget_s=budget_s, openings=openings, enough=enough)


def more_time(race: Race, wanted: int, wall_s: float) -> tuple[float, float]:
    """Seconds until about so many openings in all have been raced, and the budget of turns that has them.

    ``wall_s`` is what the race took in all, so that openings that gave no quiet round count too.
    """
    told = max(1, len(race.pairs(*race.racers[:2])))
    openings = wanted * len(race.openings) / told
    each = wall_s / len(race.openings)
    return max(0.0, openings * each - wall_s), max(OPENING_S, race.seconds / len(race.openings)) * openings
