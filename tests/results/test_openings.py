"""Intervals over openings of few rounds, where turns are disturbed unseen: they cover the truth, or are wide."""

from __future__ import annotations

import numpy as np
import pytest

from results.openings import LEAST_OPENINGS, LEAST_ROUNDS, ratio_over_openings
from results.statistics import Verdict

RACES = 300
Opening = list[tuple[float, float]]


def opening(generator: np.random.Generator, rounds: int, *, spread: float, disturbed: float) -> Opening:
    """Rates of two equally fast. Turns are off by 4 %, openings by ``spread``, disturbed turns up to 7-fold."""

    def rates() -> list[float]:
        own = generator.normal(0, spread)
        turns = own + generator.normal(0, 0.04, rounds)
        slower = generator.uniform(0, 2, rounds) * (generator.random(rounds) < disturbed)
        return [float(rate) for rate in np.exp(turns - slower)]

    return list(zip(rates(), rates(), strict=True))


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize(("spread", "disturbed"), [(0.0, 0.0), (0.03, 0.0), (0.03, 0.1), (0.1, 0.1), (0.0, 0.2)])
def test_three_openings_of_few_rounds_hold_the_truth(rounds: int, spread: float, disturbed: float) -> None:
    generator = np.random.default_rng(rounds)
    found = [
        ratio_over_openings([opening(generator, rounds, spread=spread, disturbed=disturbed) for _ in range(3)])
        for _ in range(RACES)
    ]
    sizes = [ratio.estimate for ratio in found]
    assert all(size is not None and size.n == 3 * rounds for size in sizes)
    assert sum(size.low <= 1 <= size.high for size in sizes if size and size.low and size.high) >= 0.93 * RACES


def test_the_order_of_a_race_on_a_busy_machine_is_told() -> None:
    """Rates of PyTorch and Paddle on lenet5, seven rounds in three openings, one processor busy half of the time."""
    torch = [18594, 17621, 18362, 16828, 18379]
    paddle = [4155, 4063, 4200, 4053, 4120]
    pairs = list(zip(torch, paddle, strict=True))
    found = ratio_over_openings([pairs[:3], pairs[3:4], pairs[4:]])
    assert found.verdict is Verdict.FASTER
    assert found.estimate is not None and found.estimate.n == 5 < LEAST_ROUNDS


def test_fewer_openings_take_ten_rounds() -> None:
    pairs = [(2.0, 1.0), (2.1, 1.0)] * LEAST_ROUNDS
    for openings in range(1, LEAST_OPENINGS):
        few = ratio_over_openings([pairs[: (LEAST_ROUNDS - 1) // openings]] * openings)
        assert (few.verdict, few.reason) == (Verdict.NOT_COMPARABLE, "few_rounds")
        assert few.estimate is not None and few.estimate.low is None
        assert ratio_over_openings([pairs[:LEAST_ROUNDS]] * openings).verdict is Verdict.FASTER
