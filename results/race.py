"""A race: backends on one training by turns, as it is kept in a result set, and what it says of their speeds.

Ratios are taken within a round, because the machine drifts from one to the next; over the rounds of an opening of the
processes their median counts, which a few disturbed turns do not move (Chen & Revels 2016), and over the openings an
interval (Georges et al. 2007, Kalibera & Jones 2013): see ``results.openings`` and docs/measuring.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import accumulate
from statistics import median
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from backends.registry import Manner
from results.columns import SubjectKey
from results.openings import ratio_over_openings, ratio_through
from results.record import Count, Fraction, MachineRecord, Name, PathName, Positive, RecordPart, Seconds, Text
from results.statistics import Ratio

MOST_ROUNDS = 100_000
BUSIEST = 3
"""How many of the processes that disturbed a race are named."""

Ended = Literal["precision", "budget", "interrupted", "failed"]


class Racer(RecordPart):
    """One of a race. ``rates`` holds samples/s of its quiet turn in each round, None where it had none.

    ``disturbed`` counts its turns that did not count, ``taken`` is the median share of the machine's CPU time that
    others took in them; ``error`` says why it took no (further) part.
    """

    backend: Name
    framework_version: Name = ""
    manner: Manner
    rates: Annotated[tuple[Positive | None, ...], Field(max_length=MOST_ROUNDS)] = ()
    disturbed: Count = 0
    taken: Fraction | None = None
    error: Text | None = None

    @property
    def key(self) -> SubjectKey:
        """By which the racers of several races are the same one."""
        return SubjectKey(self.backend, self.framework_version, self.manner)

    @property
    def quiet(self) -> int:
        """How many of its turns count."""
        return sum(rate is not None for rate in self.rates)

    @property
    def rate(self) -> float | None:
        """The median of its rates, in samples/s."""
        return median([rate for rate in self.rates if rate is not None]) if self.quiet else None


class Race(RecordPart):
    """A race. ``training`` is the fingerprint of what was trained (``results.record.Fingerprints``).

    ``share`` is that of the machine's CPU time beyond which what others took makes a turn count no more, ``target``
    how near (0.05: 5 %) the ends of every ratio's interval were to come, ``seconds`` what the turns took in all.
    ``openings`` holds how many rounds there were before each opening of its workers; races of before had one.
    ``busiest`` names the commands that took most of the processors in the rounds that had disturbed turns. ``machine``
    is where it was run, unknown (None) under schema 1.
    """

    schema_version: Literal[1, 2] = Field(default=2, alias="schema")
    started_at: Name
    model: Name
    dataset: PathName
    training: Name
    device: Name
    precision: Name
    threads: Count
    machine: MachineRecord | None = None
    baseline: Count  # its place among the racers
    turn_s: Seconds
    share: Fraction
    target: Positive
    budget_s: Seconds
    seconds: Seconds
    ended: Ended
    openings: Annotated[tuple[Count, ...], Field(max_length=MOST_ROUNDS)] = (0,)
    busiest: Annotated[tuple[Name, ...], Field(max_length=BUSIEST)] = ()
    racers: Annotated[tuple[Racer, ...], Field(max_length=100, min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """A file may be a stranger's."""
        if self.baseline >= len(self.racers):
            raise ValueError("the baseline is none of the racers")
        if any(len(racer.rates) != self.rounds for racer in self.racers):
            raise ValueError("the racers have different numbers of rounds")
        if self.openings[:1] != (0,) or [*self.openings, self.rounds] != sorted([*self.openings, self.rounds]):
            raise ValueError("the openings are no rounds in order")
        return self

    @property
    def rounds(self) -> int:
        """How many rounds were begun."""
        return len(self.racers[0].rates)

    def ratio(self, racer: Racer, to: Racer | None = None) -> Ratio:
        """Of a racer's speed to another's, the baseline's if none is named, from the rounds in which both count.

        Two that memory kept in different groups have no such round: theirs is from what each is of the baseline.
        """
        base = self.racers[self.baseline]
        peer = base if to is None else to
        met = self.pairs(racer, peer)
        if met or base in (racer, peer):
            return ratio_over_openings(met)
        return ratio_through(self._by_opening(racer, base), self._by_opening(peer, base))

    def pairs(self, racer: Racer, peer: Racer) -> list[list[tuple[float, float]]]:
        """Both rates of each round in which both count, by the openings that have such a round."""
        return [pairs for pairs in self._by_opening(racer, peer) if pairs]

    def _by_opening(self, racer: Racer, peer: Racer) -> list[list[tuple[float, float]]]:
        both = list(zip(racer.rates, peer.rates, strict=True))
        ends = (*self.openings[1:], self.rounds)
        return [
            [(mine, its) for mine, its in both[begin:end] if mine and its]
            for begin, end in zip(self.openings, ends, strict=True)
        ]

    @property
    def rivals(self) -> tuple[Racer, ...]:
        """All but the baseline."""
        return tuple(racer for place, racer in enumerate(self.racers) if place != self.baseline)

    @property
    def precise(self) -> bool:
        """Whether the interval of every ratio lies within the target; of those that are still in it."""
        left = [racer for racer in self.rivals if racer.error is None]
        return bool(left) and all(near(self.ratio(racer), self.target) for racer in left)

    @property
    def ranked(self) -> tuple[Racer, ...]:
        """Those that a verdict can be given of, fastest first."""
        base = self.racers[self.baseline]
        sizes = {racer: self.ratio(racer).estimate for racer in self.rivals}
        told = {racer: found.median for racer, found in sizes.items() if found is not None and found.low is not None}
        return tuple(sorted([base, *told], key=lambda racer: -told.get(racer, 1.0))) if told else ()

    def without(self, keys: Collection[SubjectKey], why: str) -> Race:
        """The race with these out of it: the first of the others is the baseline in place of one that is."""
        racers = tuple(
            racer.model_copy(update={"rates": (None,) * self.rounds, "disturbed": 0, "taken": None, "error": why})
            if racer.key in keys
            else racer
            for racer in self.racers
        )
        left = [place for place, racer in enumerate(racers) if racer.key not in keys]
        baseline = self.baseline if self.baseline in left or not left else left[0]
        return self.model_copy(update={"racers": racers, "baseline": baseline})

    def summary(self) -> list[dict[str, object]]:
        """Of each but the baseline, who it is and its ratio: ``ratio``, ``low``, ``high``, ``rounds``, or why none."""
        return [_summary(racer.key, self.ratio(racer)) for racer in self.rivals]

    def standings(self) -> list[dict[str, object]]:
        """Of each, who it is and what its turns came to: ``rate``, ``quiet``, ``disturbed``, and why it went out."""
        return [
            {**one.key._asdict(), "rate": one.rate, "quiet": one.quiet, "disturbed": one.disturbed, "error": one.error}
            for one in self.racers
        ]

    def to_json(self) -> str:
        """The whole of it."""
        return self.model_dump_json(by_alias=True)


def _summary(key: SubjectKey, found: Ratio) -> dict[str, object]:
    size = found.estimate
    bounds = (None, None, None, 0) if size is None else (size.median, size.low, size.high, size.n)
    values = dict(zip(("ratio", "low", "high", "rounds"), bounds, strict=True))
    return {**key._asdict(), **values, "verdict": found.verdict, "reason": found.reason}


def near(found: Ratio, target: float) -> bool:
    """Whether both ends of a ratio's interval lie within ``target`` of it."""
    size = found.estimate
    if size is None or size.low is None or size.high is None:
        return False
    return size.high <= size.median * (1 + target) and size.low >= size.median * (1 - target)


def now() -> str:
    """The time, as races hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def pooled(races: Iterable[Race]) -> list[Race]:
    """Races of one training under the same conditions as one: further openings narrow its intervals.

    Conditions are device, precision, threads and the kind of machine. Racers are the same where backend, version and
    manner are. The last race says how it ended and which the baseline is; the budget is what all used of theirs.
    """
    groups: dict[tuple[object, ...], list[Race]] = {}
    for race in races:
        kind = race.machine and race.machine.hardware
        key = (race.training, race.device, race.precision, race.threads, kind)
        groups.setdefault(key, []).append(race)
    return [_joined(_versions_known(members)) for members in groups.values()]


def _versions_known(races: list[Race]) -> list[Race]:
    """A racer that was never opened has no version: it is given that of the others of its backend and manner."""
    known: dict[SubjectKey, set[str]] = {}
    for key in (racer.key for race in races for racer in race.racers if racer.framework_version):
        known.setdefault(key._replace(version=""), set()).add(key.version)

    def named(racer: Racer) -> Racer:
        versions = known.get(racer.key, ())
        return racer.model_copy(update={"framework_version": min(versions)}) if len(versions) == 1 else racer

    return [race.model_copy(update={"racers": tuple(map(named, race.racers))}) for race in races]


def _joined(races: list[Race]) -> Race:
    if len(races) == 1:
        return races[0]
    keys = dict.fromkeys(racer.key for race in races for racer in race.racers)
    racers = tuple(_one(key, races) for key in keys)
    last = races[-1]
    place = [racer.key for racer in racers].index(last.racers[last.baseline].key)
    before = [0, *accumulate(race.rounds for race in races)]
    return last.model_copy(
        update={
            "racers": racers,
            "baseline": place,
            "seconds": sum(race.seconds for race in races),
            "budget_s": sum(race.budget_s if race.ended == "budget" else race.seconds for race in races),
            "openings": tuple(first + own for first, race in zip(before, races, strict=False) for own in race.openings),
            "busiest": tuple(dict.fromkeys(name for race in reversed(races) for name in race.busiest))[:BUSIEST],
        }
    )


def _one(key: SubjectKey, races: list[Race]) -> Racer:
    parts = [next((racer for racer in race.racers if racer.key == key), None) for race in races]
    there = [racer for racer in parts if racer is not None]
    rates: list[float | None] = []
    for race, racer in zip(races, parts, strict=True):
        rates += racer.rates if racer is not None else [None] * race.rounds
    taken = [racer.taken for racer in there if racer.taken is not None]
    return there[-1].model_copy(
        update={
            "rates": tuple(rates),
            "disturbed": sum(racer.disturbed for racer in there),
            "taken": median(taken) if taken else None,
        }
    )
