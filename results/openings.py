"""The ratio of two speeds that were measured by turns in processes opened several times.

An opening of the processes has a speed of its own: where memory lies and which thread runs where stay the same until
they end. Turns within it do not average that out, openings do. So they are the level that counts: each gives one ratio,
and the interval is Student's t over the logarithms of these (Kalibera & Jones 2013, "Rigorous Benchmarking in
Reasonable Time": of nested levels the spread of the highest that is repeated holds that of all below).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from results.statistics import Estimate, Ratio, Verdict, judge, ratio

LEAST_ROUNDS = 10
"""Fewest rounds by which a ratio is told where there are fewer than LEAST_OPENINGS."""
LEAST_OPENINGS = 3
"""Fewest openings whose spread is known well enough for an interval of its own, however few rounds each has.

Simulated with one to four rounds an opening, and up to a fifth of the turns disturbed unseen, these intervals covered
the truth in at least 96 of 100 (tests/results/test_openings.py).
"""
OPENINGS_DIFFER = 1.1
"""Of fewer openings the interval of the turns is made wider by this factor to either side: so much did openings differ
that were measured (docs/measuring.md), and nothing closer than that is called faster or slower."""
STOPPED_CONFIDENCE = 0.97
"""At which intervals are taken that cover the truth in at least 95 of 100 races.

A race ends once its intervals are narrow, and so rather where they are narrow by chance: looked at after the third, the
fourth and the fifth opening, intervals of 95 % covered the truth in 93 to 95 of 100 simulated races, these in 95 to 97.
"""

Pairs = Sequence[tuple[float, float]]


def ratio_over_openings(openings: Sequence[Pairs]) -> Ratio:
    """The ratio of paired speeds, first over second, each pair of one round; ``openings`` holds those of each.

    The estimate is the geometric mean of the openings' median ratios, its ``n`` the number of pairs; of fewer openings
    than LEAST_OPENINGS the median of all pairs, which has no interval if there are fewer than LEAST_ROUNDS:
    "few_rounds".
    """
    pairs = [pair for own in openings for pair in own]
    if not pairs:
        return ratio(pairs)
    if len(openings) >= LEAST_OPENINGS:
        found = _student([_middle(own) for own in openings])
        assert found.estimate is not None
        return replace(found, estimate=replace(found.estimate, n=len(pairs)))
    found = _widened(ratio(pairs))
    assert found.estimate is not None
    if len(pairs) < LEAST_ROUNDS:
        size = Estimate(found.estimate.median, None, None, len(pairs))
        return Ratio(size, Verdict.NOT_COMPARABLE, "few_rounds")
    return found


def ratio_through(first: Sequence[Pairs], second: Sequence[Pairs]) -> Ratio:
    """The ratio of two that never met, each by its pairs with the same third in the same openings.

    It has no estimate where fewer than LEAST_OPENINGS have pairs of both.
    """
    both = [(mine, its) for mine, its in zip(first, second, strict=True) if mine and its]
    if len(both) < LEAST_OPENINGS:
        return Ratio(None, Verdict.NOT_COMPARABLE, "few_rounds" if both else "no_pair")
    return _student([_middle(mine) - _middle(its) for mine, its in both])


def _middle(pairs: Pairs) -> float:
    return float(np.median(np.log([first / second for first, second in pairs])))


def _student(logs: list[float]) -> Ratio:
    from scipy.stats import t

    n, middle = len(logs), float(np.mean(logs))
    reach = float(t.ppf(0.5 + STOPPED_CONFIDENCE / 2, n - 1)) * float(np.std(logs, ddof=1)) / math.sqrt(n)
    return judge(middle, middle - reach, middle + reach, n)


def _widened(found: Ratio) -> Ratio:
    size = found.estimate
    if size is None or size.low is None or size.high is None:
        return found
    low, high = math.log(size.low / OPENINGS_DIFFER), math.log(size.high * OPENINGS_DIFFER)
    return judge(math.log(size.median), low, high, size.n)
