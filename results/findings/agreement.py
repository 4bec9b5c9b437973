"""Verdicts on several kinds of machine: each by itself, and where they agree.

Nothing is pooled over kinds: how many times as fast one backend is as another is another question on each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from results.bounds import bounds
from results.columns import SubjectKey, rung
from results.findings.finding import NAMED, Analysis, Finding, speed
from results.findings.speed import nonconforming
from results.formatting import cell
from results.ladder import RATE
from results.statistics import Ratio, Verdict
from results.summary import Case, speed_ratio

DECIDED = (Verdict.FASTER, Verdict.SLOWER, Verdict.NO_DIFFERENCE)


@dataclass(frozen=True, eq=False)
class Standing:
    """Whose speeds are told on one kind of machine, and ``ratio``, the first one's over the second one's.

    By the race where it gave a verdict, else by the training runs; without those that compute something else.
    """

    case: Case
    keys: tuple[SubjectKey, ...]
    ratio: Callable[[SubjectKey, SubjectKey], Ratio]

    def decided(self, first: SubjectKey, second: SubjectKey) -> Verdict | None:
        """The verdict on two; None where there is none."""
        known = first in self.keys and second in self.keys
        found = self.ratio(first, second).verdict if known else Verdict.NOT_COMPARABLE
        return found if found in DECIDED else None


def families(analysis: Analysis) -> Iterator[tuple[Standing, ...]]:
    """The cases that differ in the kind of machine alone, where there are several kinds."""
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in analysis.cases:
        groups.setdefault(case.key._replace(machine=""), []).append(case)
    for members in groups.values():
        if len(members) > 1:
            yield tuple(_standing(analysis, case) for case in members)


def _standing(analysis: Analysis, case: Case) -> Standing:
    outside = {subject.key for subject in case.subjects if nonconforming(analysis, subject)}
    if (race := analysis.races.get(case.key)) is not None:
        racers = {racer.key: racer for racer in race.ranked if racer.key not in outside}
        if racers:
            between = race.ratio
            return Standing(case, tuple(racers), lambda first, second: between(racers[first], racers[second]))
    runs = {s.key: s for s in case.subjects if s.key not in outside and speed(s) is not None}
    return Standing(case, tuple(runs), lambda first, second: speed_ratio(runs[first], runs[second], RATE))


def agreement(analysis: Analysis) -> Iterator[Finding]:
    """Per training and manner: whether the same backend is fastest on every kind of machine, and whose order turns."""
    for standings in families(analysis):
        every = dict.fromkeys(key for one in standings for key in one.keys)
        for manner in sorted({key.tuning for key in every}, key=rung):
            yield from _agreement(analysis, standings, [key for key in every if key.tuning == manner])


def _agreement(analysis: Analysis, standings: Sequence[Standing], keys: Sequence[SubjectKey]) -> Iterator[Finding]:
    name = analysis.labels.case(standings[0].case.key._replace(machine=""))
    common = [key for key in keys if all(key in one.keys for one in standings)]
    told = [_pair(analysis, standings, *pair) for pair in combinations(common, 2) if _turns(standings, *pair)]
    ahead = {one: best for one in standings if (best := _fastest(one, common))}
    if told:
        more = analysis.words("more_pairs", count=len(told) - NAMED) if len(told) > NAMED else ""
        yield _say("order_differs", name, told="; ".join(told[:NAMED]), more=more)
    elif ahead:
        (best,) = set(ahead.values())
        times = analysis.words.join([_lead(analysis, one, best, common) for one in ahead])
        open_ = [one for one in standings if one not in ahead]
        yield _say("agree_partly" if open_ else "agree", name, backend=analysis.labels.subject(best), told=times,
                   machines=_names(analysis, open_))  # fmt: skip
    elif len(common) > 1:
        leads: dict[tuple[SubjectKey, ...], list[Standing]] = {}
        for one in standings:
            leads.setdefault(tuple(_unbeaten(one, common)), []).append(one)
        between = [analysis.words("on_machine", what=analysis.named(leaders), machine=_names(analysis, own))
                   for leaders, own in leads.items()]  # fmt: skip
        yield _say("none_ahead", name, told="; ".join(between))
    for key in (key for key in keys if key not in common):
        missing = [one for one in standings if key not in one.keys]
        yield _say("not_everywhere", name, backend=analysis.labels.subject(key), machines=_names(analysis, missing))


def _say(key: str, case: str, **values: str) -> Finding:
    return Finding(key, "agreement", {"case": case, **values})


def _turns(standings: Sequence[Standing], first: SubjectKey, second: SubjectKey) -> bool:
    """Whether one is faster than the other on some machines, and slower on others."""
    return {Verdict.FASTER, Verdict.SLOWER} <= {one.decided(first, second) for one in standings}


def _fastest(one: Standing, keys: Sequence[SubjectKey]) -> SubjectKey | None:
    """The one that is faster than every other, beyond doubt."""
    others = ((key, [other for other in keys if other != key]) for key in keys)
    ahead = (key for key, rest in others if rest and all(one.decided(key, o) is Verdict.FASTER for o in rest))
    return next(ahead, None)


def _unbeaten(one: Standing, keys: Sequence[SubjectKey]) -> list[SubjectKey]:
    """Those that no other is faster than."""
    return [key for key in keys if not any(one.decided(key, other) is Verdict.SLOWER for other in keys)]


def _lead(analysis: Analysis, one: Standing, best: SubjectKey, keys: Sequence[SubjectKey]) -> str:
    """How many times as fast it is as the next."""
    others = [(other, one.ratio(best, other)) for other in keys if other != best]
    return _times(analysis, one, *min(others, key=lambda pair: pair[1].estimate.median if pair[1].estimate else 0.0))


def _pair(analysis: Analysis, standings: Sequence[Standing], first: SubjectKey, second: SubjectKey) -> str:
    said = []
    for one in standings:
        verdict = one.decided(first, second)
        if verdict in (Verdict.FASTER, Verdict.SLOWER):
            ahead, behind = (first, second) if verdict is Verdict.FASTER else (second, first)
            what = _times(analysis, one, behind, one.ratio(ahead, behind))
            said.append(analysis.words("ahead_on", backend=analysis.labels.subject(ahead), what=what))
    return analysis.words("comma").join(said)


def _times(analysis: Analysis, one: Standing, other: SubjectKey, found: Ratio) -> str:
    size = found.estimate
    assert size is not None
    what = analysis.words(
        "times_as_fast_as", ratio=cell("ratio", size.median), interval=bounds(size, analysis.words),
        backend=analysis.labels.subject(other),
    )  # fmt: skip
    return analysis.words("on_machine", what=what, machine=_names(analysis, [one]))


def _names(analysis: Analysis, standings: Sequence[Standing]) -> str:
    return analysis.words.join([analysis.words("machine_name", name=one.case.key.machine) for one in standings])
