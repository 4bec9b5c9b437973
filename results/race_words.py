"""What a race says, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from results.bounds import bounds
from results.columns import rung
from results.formatting import cell, duration, plain
from results.openings import LEAST_OPENINGS, LEAST_ROUNDS, OPENINGS_DIFFER
from results.race import Race, Racer
from results.statistics import Ratio, Verdict
from results.words import Words

Name = Callable[[Racer], str]


def sentences(race: Race, words: Words, name: Name) -> Iterator[str]:
    """Who is fastest in each manner, or which manner is; how the race ended, and what kept it from more."""
    ranked = race.ranked
    if not ranked:
        yield words("race_none")
        base = race.racers[race.baseline]
        if any(race.pairs(racer, base) for racer in race.rivals):
            yield words("race_too_few", openings=LEAST_OPENINGS, rounds=LEAST_ROUNDS)
    manners = sorted({racer.manner for racer in ranked}, key=rung)
    groups = [own for manner in manners if len(own := [one for one in ranked if one.manner == manner]) > 1]
    for own in groups or ([[*ranked]] if ranked else []):  # where each manner has but one, they are ranked
        yield _verdict(race, own, words, name)
    few = [name(racer) for racer in race.rivals if racer not in race.ranked and racer.quiet and racer.error is None]
    if ranked and few:
        yield words("race_few", backends=words.join(few))
    seconds = race.budget_s if race.ended == "budget" else race.seconds
    ended = "took" if race.ended == "precision" and not race.precise else race.ended  # of races with one opening
    yield words(
        f"race_{ended}", rounds=race.rounds, openings=len(race.openings), time=duration(seconds),
        target=f"{100 * race.target:g}",
    )  # fmt: skip
    if any(len(race.pairs(racer, race.racers[race.baseline])) < LEAST_OPENINGS for racer in ranked):
        yield words("race_few_openings", least=LEAST_OPENINGS, share=f"{100 * (OPENINGS_DIFFER - 1):.0f}")
    yield from _disturbed(race, words, name)
    for racer in race.racers:
        if racer.error is not None:
            yield words("race_out", backend=name(racer), why=plain(racer.error))


def _verdict(race: Race, ranked: list[Racer], words: Words, name: Name) -> str:
    best = _unbeaten(race, ranked)
    others = [racer for racer in ranked if racer is not best]
    ratios = [(other, race.ratio(best, other)) for other in others]
    slower = [_times(found, name(other), words) for other, found in ratios if found.verdict is Verdict.FASTER]
    level = [(other, found) for other, found in ratios if found.verdict is not Verdict.FASTER]
    if not level:
        return words("race_fastest", backend=name(best), others=words.join(slower))
    values = {
        "backend": name(best),
        "leaders": words.join([name(best), *(name(other) for other, _ in level)]),
        "ratios": words.join([_ratio(found, name(best), name(other), words) for other, found in level]),
        "others": words.join(slower),
    }
    return words("race_level_ahead" if slower else "race_level", **values)


def _unbeaten(race: Race, ranked: list[Racer]) -> Racer:
    """The first that none is faster than round by round: its ratio to the baseline may be of other rounds."""
    slower = ({race.ratio(one, other).verdict for other in ranked if other is not one} for one in ranked)
    found = (one for one, verdicts in zip(ranked, slower, strict=True) if Verdict.SLOWER not in verdicts)
    return next(found, ranked[0])


def _times(found: Ratio, backend: str, words: Words) -> str:
    size = found.estimate
    assert size is not None
    ratio = cell("ratio", size.median)
    return words("times_as_fast_as", ratio=ratio, interval=bounds(size, words), backend=backend)


def _ratio(found: Ratio, backend: str, other: str, words: Words) -> str:
    size = found.estimate
    if size is None or size.low is None:
        return words.reason(found.reason)
    ratio = cell("ratio", size.median)
    return words("race_ratio", backend=backend, other=other, ratio=ratio, interval=bounds(size, words))


def _disturbed(race: Race, words: Words, name: Name) -> Iterator[str]:
    disturbed = sum(racer.disturbed for racer in race.racers)
    turns = disturbed + sum(racer.quiet for racer in race.racers)
    if disturbed:
        yield words("race_disturbed", disturbed=disturbed, turns=turns)
    if race.busiest:
        yield words("race_busiest", names=words.join([plain(name) for name in race.busiest]))
    for racer in race.racers:
        if racer.disturbed and not racer.quiet and racer.taken is not None:
            yield words(
                "race_no_quiet", backend=name(racer), turns=racer.disturbed, taken=f"{100 * racer.taken:.0f}",
                share=f"{100 * race.share:g}",
            )  # fmt: skip
