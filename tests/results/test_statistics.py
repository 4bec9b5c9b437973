"""Statistics against distributions whose truth is known. Every draw is seeded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from results.statistics import Verdict, equivalence, estimate, ratio, ratio_unpaired

NOISE = 0.02
"""Standard deviation of a rate's logarithm from run to run, as on the machines this runs on."""


def rounds(rng: np.random.Generator, n: int, speedup: float = 1.0) -> list[tuple[float, float]]:
    """Rates of two backends in ``n`` rounds: each round has a drift that both share."""
    drift = rng.normal(0, 0.1, n)
    first, second = (10_000 * np.exp(drift + rng.normal(0, NOISE, n)) for _ in range(2))
    return list(zip(first * speedup, second, strict=True))


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_equal_backends_are_called_no_difference(n: int) -> None:
    """In at least 18 of every 20 comparisons."""
    rng = np.random.default_rng(n)
    verdicts = [ratio(rounds(rng, n)).verdict for _ in range(400)]
    assert verdicts.count(Verdict.NO_DIFFERENCE) >= 400 * 18 / 20


def test_a_difference_of_five_percent_is_found_over_ten_rounds() -> None:
    rng = np.random.default_rng(0)
    found = [ratio(rounds(rng, 10, speedup=1.05)) for _ in range(100)]
    assert sum(r.verdict is Verdict.FASTER for r in found) >= 90
    slowed = [ratio(rounds(rng, 10, speedup=1 / 1.05)) for _ in range(100)]
    assert sum(r.verdict is Verdict.SLOWER for r in slowed) >= 90
    medians = [r.estimate.median for r in found if r.estimate]
    assert np.median(medians) == pytest.approx(1.05, abs=0.01)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 10, 25])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_intervals_hold_the_true_median_as_often_as_they_say(n: int, tails: str) -> None:
    """95 %, less what 1,000 draws leave uncertain and what n = 5 cannot reach (93.75 %)."""
    rng = np.random.default_rng([n, len(tails)])
    held = 0
    for _ in range(1000):
        values = rng.normal(0, 1, n) if tails == "normal" else rng.standard_t(3, n)
        found = estimate(values.tolist())
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert held >= 915


def test_drift_that_both_share_does_not_hide_a_difference() -> None:
    """Pairing within rounds takes the machine's drift out; without pairing it would bury 5 %."""
    rng = np.random.default_rng(3)
    pairs = rounds(rng, 10, speedup=1.05)
    assert ratio(pairs).verdict is Verdict.FASTER
    assert ratio_unpaired([a for a, _ in pairs], [b for _, b in pairs]).verdict is Verdict.NO_DIFFERENCE


def test_one_value_has_no_interval_and_none_has_no_estimate() -> None:
    assert estimate([]) is None
    single = estimate([3.0])
    assert single is not None
    assert (single.median, single.low, single.high, single.n) == (3.0, None, None, 1)
    assert ratio([]).reason == "no_pair"
    lonely = ratio([(2.0, 1.0)])
    assert (lonely.verdict, lonely.reason) == (Verdict.NOT_COMPARABLE, "single")
    assert lonely.estimate is not None
    assert lonely.estimate.median == pytest.approx(2.0)


def test_equal_values_have_an_interval_of_no_width() -> None:
    for n in (2, 4, 5, 9):
        found = estimate([7.0] * n)
        assert found is not None
        assert (found.low, found.high) == (7.0, 7.0)
    assert ratio([(1.0, 1.0)] * 5).verdict is Verdict.NO_DIFFERENCE


def test_intervals_are_cut_at_what_a_figure_can_be() -> None:
    found = estimate([0.99, 1.0, 0.95], least=0.0, most=1.0)
    assert found is not None
    assert found.high == 1.0


def test_ranks_stand_for_values() -> None:
    """The one bootstrap of the ranks gives, for odd n, exactly what a bootstrap of the values gives."""
    rng = np.random.default_rng(5)
    values = rng.lognormal(size=15)
    found = estimate(values.tolist())
    assert found is not None
    direct = bootstrap(
        (values,), np.median, method="percentile", n_resamples=9999, confidence_level=0.97, random_state=1
    )
    assert found.low == pytest.approx(direct.confidence_interval.low, rel=0.2)
    assert found.low in values
    assert found.high in values


def test_unpaired_ratios() -> None:
    rng = np.random.default_rng(9)
    draw = lambda n, speed: (speed * np.exp(rng.normal(0, NOISE, n))).tolist()  # noqa: E731
    assert ratio_unpaired(draw(10, 1.1), draw(12, 1.0)).verdict is Verdict.FASTER
    assert ratio_unpaired(draw(3, 0.7), draw(3, 1.0)).verdict is Verdict.SLOWER
    assert ratio_unpaired([], [1.0]).reason == "one_sided"
    assert ratio_unpaired([1.0], [1.0, 2.0]).reason == "single"
    for n in (3, 8):
        verdicts = [ratio_unpaired(draw(n, 1.0), draw(n, 1.0)).verdict for _ in range(100)]
        assert verdicts.count(Verdict.NO_DIFFERENCE) >= 90


def test_equivalence_of_accuracies() -> None:
    same = equivalence([0.001, -0.001, 0.0005])
    assert same is not None
    assert same.equivalent
    worse = equivalence([-0.02, -0.021, -0.019])
    assert worse is not None
    assert not worse.equivalent
    assert worse.high < 0
    vague = equivalence([0.02, -0.02, 0.001])
    assert vague is not None
    assert not vague.equivalent, "what varies too much is not shown to be equal"
    assert equivalence([0.0]) is None
    identical = equivalence([0.0, 0.0])
    assert identical is not None
    assert identical.equivalent


def test_equivalence_errs_in_one_of_twenty_at_the_margin() -> None:
    """With a true difference of exactly one point, equivalence is claimed in at most 5 % of studies."""
    rng = np.random.default_rng(2)
    claimed = sum(bool((e := equivalence(rng.normal(0.01, 0.004, 5).tolist())) and e.equivalent) for _ in range(2000))
    assert claimed <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)
