"""Statistics against distributions whose truth is known. Every draw is seeded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from results.rounds import rounds_wanted
from results.statistics import SAME_SPEED, Verdict, equivalence, estimate, ratio, ratio_unpaired

NOISE = 0.02
"""Standard deviation of a rate's logarithm from run to run, as on the machines this runs on."""


def rounds(rng: np.random.Generator, n: int, speedup: float = 1.0) -> list[tuple[float, float]]:
    """Rates of two backends in ``n`` rounds: each round has a drift that both share."""
    drift = rng.normal(0, 0.1, n)
    first, second = (10_000 * np.exp(drift + rng.normal(0, NOISE, n)) for _ in range(2))
    return list(zip(first * speedup, second, strict=True))


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_equal_backends_are_not_called_different(n: int) -> None:
    """In at least 18 of every 20 comparisons; from ten rounds on the interval is narrow enough to call them equal."""
    rng = np.random.default_rng(n)
    verdicts = [ratio(rounds(rng, n)).verdict for _ in range(400)]
    same, untold = verdicts.count(Verdict.NO_DIFFERENCE), verdicts.count(Verdict.CANNOT_TELL)
    assert same + untold >= 400 * 18 / 20
    assert same >= 400 * (0.9 if n >= 10 else 0.5)


def test_no_difference_is_said_only_of_a_narrow_interval() -> None:
    """Within 10 % either way, whole: otherwise it cannot be told, and beyond a factor of 4 nothing can."""
    narrow, wide = ratio([(1.02, 1.0), (0.99, 1.0), (1.0, 1.0)]), ratio([(1.2, 1.0), (0.9, 1.0), (1.0, 1.0)])
    assert (narrow.verdict, narrow.reason) == (Verdict.NO_DIFFERENCE, "")
    assert (wide.verdict, wide.reason) == (Verdict.CANNOT_TELL, "wide")
    wild = ratio([(158_000, 13_500), (13_500, 158_000), (20_000, 13_500)])
    assert (wild.verdict, wild.reason) == (Verdict.CANNOT_TELL, "disturbed")
    for found in (narrow, wide):
        assert found.estimate is not None
        assert found.estimate.low is not None
        assert found.estimate.high is not None
        within = 1 / SAME_SPEED <= found.estimate.low <= 1 <= found.estimate.high <= SAME_SPEED
        assert within == (found is narrow)


def test_intervals_of_positive_figures_are_never_below_zero() -> None:
    """Two or three values far apart: the plain t-interval of the first would begin at -47,000."""
    for values in ([13_500.0, 20_000.0, 158_000.0], [1.0, 40.0], [0.001, 5.0]):
        found = estimate(values)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert 0 < found.low < found.median < found.high
        assert found.disturbed
    with_zero = estimate([0.0, 1.0, 5.0])
    assert with_zero is not None
    assert with_zero.low == 0.0


@pytest.mark.parametrize("noise", [0.05, 0.1])
@pytest.mark.parametrize("speedup", [1.0, 1.03])
def test_the_rounds_said_to_be_wanted_do(noise: float, speedup: float) -> None:
    """With so many rounds a verdict can be given about as often as not, with a third of them more seldom."""
    rng = np.random.default_rng([int(100 * noise), int(100 * speedup)])

    def draw(n: int) -> list[tuple[float, float]]:
        return [(speedup * a, b) for a, b in np.exp(rng.normal(0, noise / math.sqrt(2), (n, 2)))]

    first = [found for _ in range(300) if (found := ratio(draw(5))).verdict is Verdict.CANNOT_TELL]
    wanted = [n for found in first if found.estimate and (n := rounds_wanted(found.estimate))]
    assert len(wanted) > 0.8 * len(first)
    typical = int(np.median(wanted))
    assert typical > 5

    def told(n: int) -> float:
        return sum(ratio(draw(n)).verdict is not Verdict.CANNOT_TELL for _ in range(200)) / 200

    assert told(typical) > 0.4
    assert told(typical) > told(max(3, typical // 3))


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
        found = estimate(np.exp(values).tolist())  # the logarithms of rates and times spread evenly
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1 <= found.high
    assert held >= 915


def test_drift_that_both_share_does_not_hide_a_difference() -> None:
    """Pairing within rounds takes the machine's drift out; without pairing it would bury 5 %."""
    rng = np.random.default_rng(3)
    pairs = rounds(rng, 10, speedup=1.05)
    assert ratio(pairs).verdict is Verdict.FASTER
    assert ratio_unpaired([a for a, _ in pairs], [b for _, b in pairs]).verdict is Verdict.CANNOT_TELL


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
        assert found.low == pytest.approx(7.0)
        assert found.high == pytest.approx(7.0)
    assert ratio([(1.0, 1.0)] * 5).verdict is Verdict.NO_DIFFERENCE


def test_intervals_are_cut_at_what_a_figure_can_be() -> None:
    found = estimate([0.99, 1.0, 0.95], share=True)
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
        assert verdicts.count(Verdict.NO_DIFFERENCE) + verdicts.count(Verdict.CANNOT_TELL) >= 90


def test_equivalence_of_accuracies() -> None:
    same = equivalence([0.001, -0.001, 0.0005])
    assert same is not None
    assert same.equivalent
    worse = equivalence([-0.02, -0.021, -0.019])
    assert worse is not None
    assert not worse.equivalent
    assert worse.differs
    vague = equivalence([0.02, -0.02, 0.001])
    assert vague is not None
    assert not vague.equivalent, "what varies too much is not shown to be equal"
    assert not vague.differs
    assert equivalence([]) is None
    identical = equivalence([0.0, 0.0, 0.0])
    assert identical is not None
    assert identical.equivalent


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_not_tested(seeds: int) -> None:
    found = equivalence([0.0] * seeds)
    assert found is not None
    assert (found.n, found.equivalent, found.differs, found.low) == (seeds, None, None, None)


def test_equal_accuracies_are_called_different_in_one_of_twenty() -> None:
    """Where the spread is too wide to call them equal, and so nothing hides a difference claimed in error."""
    rng = np.random.default_rng(4)
    claimed = sum(bool((e := equivalence(rng.normal(0, 0.05, 4).tolist())) and e.differs) for _ in range(2000))
    assert claimed <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)


def test_equivalence_errs_in_one_of_twenty_at_the_margin() -> None:
    """With a true difference of exactly one point, equivalence is claimed in at most 5 % of studies."""
    rng = np.random.default_rng(2)
    claimed = sum(bool((e := equivalence(rng.normal(0.01, 0.004, 5).tolist())) and e.equivalent) for _ in range(2000))
    assert claimed <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)
