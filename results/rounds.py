"""How many rounds it takes until a verdict can be given."""

from __future__ import annotations

import math

import numpy as np

from results.statistics import BOOTSTRAP_LEAST, CONFIDENCE, SAME_SPEED, Estimate

MOST = 100
"""Rounds beyond which it is the machine that must become quiet: nobody waits for more."""


def rounds_wanted(found: Estimate) -> int | None:
    """About how many rounds in all would tell, if they vary as those of a ratio so far; None where MOST would not.

    Then the interval either leaves out 1, were the true ratio half as far from it as the median so far, or lies within
    SAME_SPEED, whichever takes fewer. The reach of an interval of
    n rounds goes with Student's t over sqrt(n), and with that of a median, sqrt(pi / 2) wider, from BOOTSTRAP_LEAST on.
    """
    if found.low is None or found.high is None or found.low <= 0:
        return None
    middle, reach = abs(math.log(found.median)), math.log(found.high / found.low) / 2
    wanted = max(middle / 2, math.log(SAME_SPEED) - middle)
    more = (n for n in range(found.n + 1, MOST + 1) if reach * _width(n) / _width(found.n) <= wanted)
    return next(more, None)


def repeats_wanted(reach: float, within: float, n: int, confidence: float) -> int | None:
    """About how many repeats have an interval of Student's t that reaches no further than ``within`` to either side.

    That of ``n`` reaches ``reach``. None where MOST repeats would not do.
    """
    from scipy.stats import t

    if n < 2:
        return None
    counts = np.arange(n, MOST + 1)
    widths = t.ppf(0.5 + confidence / 2, counts - 1) / np.sqrt(counts)
    enough = counts[1:][reach * widths[1:] <= within * widths[0]]
    return int(enough[0]) if len(enough) else None


def _width(n: int) -> float:
    from scipy.stats import t

    quantile = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    if n < BOOTSTRAP_LEAST:
        return quantile / math.sqrt(n)
    return quantile * math.sqrt(math.pi / 2) / math.sqrt(n - 1)
