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


@dataclass(frozen=True)
class Estimate:
    """The median of ``n`` values and its 95 % interval; ``low`` and ``high`` are None for a single value."""

    median: float
    low: float | None
    high: float | None
    n: int


class Verdict(StrEnum):
    """What the interval of a speed ratio allows to say."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Ratio:
    """A speed ratio, above 1 where the first is faster, and what may be said of it.

    ``reason`` says why a ratio is not comparable: "no_pair" (no round in which both ran well), "single" (one pair has
    no interval), "one_sided" (no such run in one of the sets), "no_baseline", or "fingerprints: " and what differs.
    """

    estimate: Estimate | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests (Schuirmann 1987) of a mean difference within +-margin at the 5 % level.

    ``low`` and ``high`` bound the difference with 90 % confidence: equivalent means both lie within the margin.
    """

    difference: float
    low: float
    high: float
    n: int
    equivalent: bool


def estimate(values: Sequence[float], *, least: float = -math.inf, most: float = math.inf) -> Estimate | None:
    """Median and 95 % interval, which is cut at what the figure can be; None of no value.

    From BOOTSTRAP_LEAST values on: expanded percentile bootstrap of the median. Below: Student's t around the mean,
    which assumes normal values but holds what it promises for so few.
    """
    if not len(values):
        return None
    data = np.asarray(values, dtype=np.float64)
    low, high = _interval(data)
    if low is not None and high is not None:
        low, high = max(low, least), min(high, most)
    return Estimate(float(np.median(data)), low, high, len(data))


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The ratio of paired speeds, first over second, each pair taken in the same round. Works on logarithms."""
    if not pairs:
        return Ratio(None, Verdict.NOT_COMPARABLE, "no_pair")
    data = np.asarray(pairs, dtype=np.float64)
    logs = np.log(data[:, 0] / data[:, 1])
    low, high = _interval(logs)
    return _judge(float(np.median(logs)), low, high, len(logs))


def ratio_unpaired(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """The ratio of the medians of two independent samples of speeds, first over second.

    Bootstrap of both samples, or Welch's t on logarithms where one has fewer than BOOTSTRAP_LEAST values.
    """
    if not len(first) or not len(second):
        return Ratio(None, Verdict.NOT_COMPARABLE, "one_sided")
    a, b = np.log(np.asarray(first, dtype=np.float64)), np.log(np.asarray(second, dtype=np.float64))
    middle, n = float(np.median(a) - np.median(b)), min(len(a), len(b))
    if n == 1:
        return _judge(middle, None, None, n)
    if n < BOOTSTRAP_LEAST:
        low, high = _welch(a, b)
        return _judge(middle, min(low, middle), max(high, middle), n)
    low, high = _bootstrap((a, b), lambda x, y, axis: np.median(x, axis=axis) - np.median(y, axis=axis))
    return _judge(middle, low, high, n)


def equivalence(differences: Sequence[float], margin: float = EQUIVALENCE_MARGIN) -> Equivalence | None:
    """Whether paired differences average to less than ``margin`` either way; None below two of them."""
    n = len(differences)
    if n < 2:
        return None
    from scipy.stats import t

    data = np.asarray(differences, dtype=np.float64)
    mean = float(data.mean())
    reach = float(t.ppf(0.95, n - 1)) * float(data.std(ddof=1)) / math.sqrt(n)
    low, high = mean - reach, mean + reach
    return Equivalence(mean, low, high, n, -margin < low and high < margin)


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


def _judge(middle: float, low: float | None, high: float | None, n: int) -> Ratio:
    if low is None or high is None:
        return Ratio(Estimate(math.exp(middle), None, None, n), Verdict.NOT_COMPARABLE, "single")
    found = Estimate(math.exp(middle), math.exp(low), math.exp(high), n)
    if low > 0:
        return Ratio(found, Verdict.FASTER)
    return Ratio(found, Verdict.SLOWER if high < 0 else Verdict.NO_DIFFERENCE)
