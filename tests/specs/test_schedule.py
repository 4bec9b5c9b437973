import json
import math

import numpy as np
import pytest

from specs.codec import from_plain, to_plain
from specs.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    Schedule,
    Step,
    learning_rates,
)

ONE_OF_EACH = (
    Constant(),
    Constant(warmup_epochs=0.5),
    Step(every_epochs=2, gamma=0.1),
    Step(every_epochs=1, gamma=1.0, warmup_epochs=1),
    Exponential(gamma=0.7),
    Cosine(),
    Cosine(final_fraction=0.1, warmup_epochs=1.25),
)


def test_constant_is_the_base_rate() -> None:
    rates = learning_rates(Constant(), base=0.01, epochs=3, steps_per_epoch=4)
    assert rates.dtype == np.float64
    np.testing.assert_array_equal(rates, np.full(12, 0.01))


def test_step_drops_at_epoch_boundaries() -> None:
    rates = learning_rates(Step(every_epochs=2, gamma=0.5), base=8.0, epochs=5, steps_per_epoch=3)
    np.testing.assert_array_equal(rates, [8.0] * 6 + [4.0] * 6 + [2.0] * 3)


def test_exponential_falls_by_gamma_over_every_epoch_and_a_little_at_each_step() -> None:
    rates = learning_rates(Exponential(gamma=0.7), base=2.0, epochs=3, steps_per_epoch=4)
    np.testing.assert_allclose(rates[::4], [2.0, 1.4, 0.98], rtol=1e-15)
    np.testing.assert_allclose(rates[1:] / rates[:-1], 0.7**0.25, rtol=1e-14)


def test_cosine_against_the_formula_step_by_step() -> None:
    epochs, steps, base, final, warmup = 4, 5, 0.2, 0.1, 1.5
    rates = learning_rates(
        Cosine(final_fraction=final, warmup_epochs=warmup), base=base, epochs=epochs, steps_per_epoch=steps
    )
    total, w = epochs * steps, warmup * steps
    for t, rate in enumerate(rates):
        progress = max(0.0, (t - w) / (total - w))
        expected = base * min(1.0, (t + 1) / w) * (final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2)
        assert rate == pytest.approx(expected, rel=1e-14)


def test_cosine_halves_at_the_middle_and_ends_just_above_its_end() -> None:
    rates = learning_rates(Cosine(), base=1.0, epochs=10, steps_per_epoch=10)
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3
    assert np.all(np.diff(rates) < 0)


@pytest.mark.parametrize("schedule", [Constant(warmup_epochs=2), Step(every_epochs=9, gamma=0.5, warmup_epochs=2)])
def test_warm_up_rises_linearly_from_near_zero_to_the_base(schedule: Schedule) -> None:
    rates = learning_rates(schedule, base=1.0, epochs=4, steps_per_epoch=5)
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    np.testing.assert_array_equal(rates[10:], 1.0)


def test_warm_up_may_end_within_an_epoch() -> None:
    rates = learning_rates(Constant(warmup_epochs=0.5), base=1.0, epochs=1, steps_per_epoch=5)
    np.testing.assert_allclose(rates, [1 / 2.5, 2 / 2.5, 1.0, 1.0, 1.0])


def test_cosine_wholly_within_its_warm_up_stays_finite() -> None:
    rates = learning_rates(Cosine(warmup_epochs=2), base=1.0, epochs=2, steps_per_epoch=3)
    np.testing.assert_allclose(rates, np.arange(1, 7) / 6)


@pytest.mark.parametrize("schedule", ONE_OF_EACH)
def test_plain_data_and_back(schedule: Schedule) -> None:
    assert from_plain(type(schedule), json.loads(json.dumps(to_plain(schedule)))) == schedule


def test_every_schedule_has_a_round_trip_case() -> None:
    assert {schedule.kind for schedule in ONE_OF_EACH} == set(SCHEDULES)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Constant(warmup_epochs=-1), "warmup_epochs"),
        (lambda: Constant(warmup_epochs=math.inf), "warmup_epochs"),
        (lambda: Constant(warmup_epochs=math.nan), "warmup_epochs"),
        (lambda: Step(every_epochs=0, gamma=0.5), "every_epochs"),
        (lambda: Step(every_epochs=1, gamma=0.0), "gamma"),
        (lambda: Step(every_epochs=1, gamma=math.nan), "gamma"),
        (lambda: Cosine(final_fraction=1.5), "final_fraction"),
        (lambda: learning_rates(Constant(), base=1.0, epochs=0, steps_per_epoch=5), "epochs"),
    ],
)
def test_wrong_values_are_refused_by_name(make, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
