"""What repeats say: medians with 95 % intervals, paired ratios with a verdict, equivalence of accuracies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 1999
BOOTSTRAP_LEAST = 5
"""Fewest values that are bootstrapped. The bootstrap interval of a median lies within the smallest and largest value,
which hold it between them with probability 1 - 2**(1 - n) only: 75 % for three, 94 % for five."""
EQUIVALENCE_MARGIN = 0.01
"""Accuracies that differ by less than this (one percentage point) are as good as equal."""
EQUIVALENCE_CONFIDENCE = 0.90
"""Of the interval of the difference: 95 % to either side."""
EQUIVALENCE_SEEDS = 3
"""Fewest seeds from which accuracies are called equal or different."""
SAME_SPEED = 1.1
"""Speeds are called no different only if the whole interval of their ratio lies between 1 / SAME_SPEED and this."""
DISTURBED = 4.0
"""Upper over lower bound beyond which an interval of a positive figure tells nothing (from half to twice, say)."""


@dataclass(frozen=True)
class Estimate:
    """The median of ``n`` values and its 95 % interval; ``low`` and ``high`` are None for a single value."""

    median: float
    low: float | None
    high: float | None
    n: int

    @property
    def disturbed(self) -> bool:
        """Whether a positive figure's interval is too wide to tell anything."""
        return self.low is not None and self.high is not None and self.high > DISTURBED * self.low


class Verdict(StrEnum):
    """What the interval of a speed ratio allows to say."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"
    CANNOT_TELL = "cannot be told"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Ratio:
    """A speed ratio, above 1 where the first is faster, and what may be said of it.

    ``reason`` says why a ratio is not comparable: "no_pair" (no round in which both ran well), "single" (one pair has
    no interval), "one_sided" (no such run in one of the sets), "no_baseline", or "fingerprints: " and what differs;
    and why it cannot be told: "wide" (the interval holds 1 and more than SAME_SPEED) or "disturbed" (beyond DISTURBED).
    """

    estimate: Estimate | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests (Schuirmann 1987) of a mean difference within +-margin at the 5 % level.

    ``low`` and ``high`` bound the difference with 90 % confidence: ``equivalent`` means both lie within the margin.
    ``differs`` means that it is not, and that zero lies outside the interval of 95 %. Below EQUIVALENCE_SEEDS nothing
    is tested: all four are None.
    """

    difference: float
    n: int
    low: float | None = None
    high: float | None = None
    equivalent: bool | None = None
    differs: bool | None = None


def estimate(values: Sequence[float], *, share: bool = False) -> Estimate | None:
    """Median and 95 % interval of figures that cannot be negative; None of no value.

    The interval is found on the logarithms, where the spread of rates, times and memory is even and no bound is below
    zero; of a ``share`` (an accuracy, say) and where a value is zero on the figures, and cut to what they can be. From
    BOOTSTRAP_LEAST values on it is the expanded percentile bootstrap of the median. Below: Student's t around the mean,
    which assumes normal values but holds what it promises for so few.
    """
    if not len(values):
        return None
    data = np.asarray(values, dtype=np.float64)
    median = float(np.median(data))
    if share or data.min() <= 0:
        low, high = _interval(data)
        if low is not None and high is not None:
            low, high = max(low, 0.0), min(high, 1.0 if share else math.inf)
    else:
        low, high = _interval(np.log(data))
        if low is not None and high is not None:
            low, high = min(_exp(low), median), max(_exp(high), median)
    return Estimate(median, low, high, len(data))


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio of paired speeds, first over second, each pair taken in the same round. Works on logarithms."""
    if not pairs:
        return Ratio(None, Verdict.NOT_COMPARABLE, "no_pair")
    data = np.asarray(pairs, dtype=np.float64)
    logs = np.log(data[:, 0] / data[:, 1])
    low, high = _interval(logs)
    return judge(float(np.median(logs)), low, high, len(logs))


def ratio_unpaired(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """The ratio of the medians of two independent samples of speeds, first over second.

    Bootstrap of both samples, or Welch's t on logarithms where one has fewer than BOOTSTRAP_LEAST values.
    """
    if not len(first) or not len(second):
        return Ratio(None, Verdict.NOT_COMPARABLE, "one_sided")
    a, b = np.log(np.asarray(first, dtype=np.float64)), np.log(np.asarray(second, dtype=np.float64))
    middle, n = float(np.median(a) - np.median(b)), min(len(a), len(b))
    if n == 1:
        return judge(middle, None, None, n)
    if n < BOOTSTRAP_LEAST:
        low, high = _welch(a, b)
        return judge(middle, min(low, middle), max(high, middle), n)
    low, high = _bootstrap((a, b), lambda x, y, axis: np.median(x, axis=axis) - np.median(y, axis=axis))
    return judge(middle, low, high, n)


def equivalence(differences: Sequence[float], margin: float = EQUIVALENCE_MARGIN) -> Equivalence | None:
    """Whether paired differences, one per seed, average to less than ``margin`` either way; None of no difference."""
    n = len(differences)
    if not n:
        return None
    data = np.asarray(differences, dtype=np.float64)
    mean = float(data.mean())
    if n < EQUIVALENCE_SEEDS:
        return Equivalence(mean, n)
    from scipy.stats import t

    error = float(data.std(ddof=1)) / math.sqrt(n)
    reach = float(t.ppf(0.5 + EQUIVALENCE_CONFIDENCE / 2, n - 1)) * error
    low, high = mean - reach, mean + reach
    equivalent = -margin < low and high < margin
    differs = not equivalent and abs(mean) > float(t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * error
    return Equivalence(mean, n, low, high, equivalent, differs)


def _exp(logarithm: float) -> float:
    return math.exp(min(logarithm, 700.0))  # beyond lies what a float cannot hold


def _interval(data: Values) -> tuple[float, float] | tuple[None, None]:
    n = len(data)
    if n == 1:
        return None, None
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0])
    if n < BOOTSTRAP_LEAST:
        from scipy.stats import t

        reach = float(t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(data.std(ddof=1)) / math.sqrt(n)
        return float(data.mean()) - reach, float(data.mean()) + reach
    low, high = np.interp(_median_ranks(n), np.arange(n), np.sort(data))
    return float(low), float(high)


@lru_cache(maxsize=256)
def _median_ranks(n: int) -> tuple[float, float]:
    """The bootstrap interval of the median of 0, 1, ..., n-1.

    Which of the sorted values a resample's median falls on does not depend on the values, so that the interval of any
    n values is read off between their ranks: one bootstrap per n serves every figure.
    """
    return _bootstrap((np.arange(n, dtype=np.float64),), np.median)


def _bootstrap(samples: tuple[Values, ...], statistic: Callable[..., Any]) -> tuple[float, float]:
    """SciPy's percentile bootstrap, seeded (the same records give the same report) and expanded.

    Plain percentiles are too narrow for few values. Expanded percentiles (Hesterberg 2015, What Teachers Should Know
    About the Bootstrap, section 5.3) take the quantile of Student's t, times sqrt(n / (n - 1)), in place of the normal.
    """
    from scipy.stats import bootstrap, norm, t

    n = min(len(sample) for sample in samples)
    tail = norm.cdf(math.sqrt(n / (n - 1)) * t.ppf((1 - CONFIDENCE) / 2, n - 1))
    interval = bootstrap(
        samples,
        statistic,
        method="percentile",
        confidence_level=1 - 2 * float(tail),
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // max(len(sample) for sample in samples)),
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _welch(a: Values, b: Values) -> tuple[float, float]:
    from scipy.stats import ttest_ind

    difference = float(a.mean() - b.mean())
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return difference, difference
    interval = ttest_ind(a, b, equal_var=False).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def judge(middle: float, low: float | None, high: float | None, n: int) -> Ratio:
    """The ratio of this logarithm and interval of logarithms from ``n`` pairs, with its verdict."""
    if low is None or high is None:
        return Ratio(Estimate(math.exp(middle), None, None, n), Verdict.NOT_COMPARABLE, "single")
    found = Estimate(math.exp(middle), _exp(low), _exp(high), n)
    if low > 0:
        return Ratio(found, Verdict.FASTER)
    if high < 0:
        return Ratio(found, Verdict.SLOWER)
    if max(-low, high) <= math.log(SAME_SPEED):
        return Ratio(found, Verdict.NO_DIFFERENCE)
    return Ratio(found, Verdict.CANNOT_TELL, "disturbed" if found.disturbed else "wide")
