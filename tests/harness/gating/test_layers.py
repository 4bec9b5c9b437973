"""Which layer a slowdown is in, from profiles that are made up."""

from __future__ import annotations

from harness.gating.layers import compared
from harness.measuring.profile import BackendProfile, LayerTime, Time


def profile(**layers: tuple[float, float, float]) -> BackendProfile:
    """Median and bounds in ms."""
    times = [(name, Time(*(value / 1000 for value in own))) for name, own in layers.items()]
    whole = Time(0.01, 0.01, 0.01)
    made = tuple(LayerTime(name, time, time, time, 0, 0) for name, time in times)
    return BackendProfile("x", "1.0", (), whole, made, whole)


def test_those_slower_beyond_doubt_are_named_with_the_one_that_lost_most_first() -> None:
    base = profile(conv2d_1=(1.0, 0.9, 1.1), relu_1=(0.2, 0.1, 0.3), linear_1=(2.0, 1.9, 2.1))
    found = compared(base, profile(conv2d_1=(1.5, 1.4, 1.6), relu_1=(0.4, 0.25, 0.5), linear_1=(9.0, 8.0, 10.0)))
    assert [cost.slower for cost in found.costs] == [True, False, True]
    assert found.said == (
        "linear_1 takes 9.00 ms per batch against 2.00 ms; conv2d_1 takes 1.50 ms per batch against 1.00 ms"
    )


def test_where_none_is_slower_beyond_doubt_the_largest_difference_is_told() -> None:
    base = profile(conv2d_1=(1.0, 0.5, 1.5), relu_1=(-0.1, -0.2, 0.1))
    found = compared(base, profile(conv2d_1=(1.4, 1.0, 2.0), relu_1=(0.05, -0.1, 0.2)))
    assert found.said == (
        "no layer is slower beyond doubt; the largest difference: conv2d_1 takes 1.40 ms per batch against 1.00 ms"
    )
    assert found.costs[1].base_ms == 0.0
    same = compared(base, base)
    assert not any(cost.slower for cost in same.costs)
