"""Every tolerance of the suite with its reason. Errors are relative error norms (``norms``) unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass

YARDSTICK = 3.0
"""Where float32 itself is the limit: an error above its tolerance still passes when it is at most this many times the
error that NumPy's float32 makes on the same case. Roundings in another order may be a few times worse; another formula
is orders of magnitude worse."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The largest relative error that passes, and why it is this one.

    ``yardstick``: how many times the error of NumPy's float32 may stand in for the limit, 0 for never. ``floor`` is
    that of ``norms.relative_errors``.
    ``unit`` is set for what is no relative error and the same in every precision.
    """

    limit: float
    reason: str
    yardstick: float = 0.0
    floor: float = 0.0
    unit: str = ""


PRECISIONS = ("float32", "float64")

FLOAT64_LIMIT = 1e-10

BFLOAT16_LIMIT = 0.05
_BFLOAT16_REASON = "a bfloat16 has 8 bits, errs by 0.004, and a network rounds many times"

# The gradient of a bias in front of batch norm is 0 in theory and rounding in practice: it is measured against this
# share of the largest gradient of its network.
_GRADIENT_FLOOR = 1e-2

# A mean of values that cancel has the rounding of the values, however small it is itself.
_STATISTICS_FLOOR = 1e-2

_FIVE_SIGMA = Tolerance(
    limit=5.0,
    unit="sigma",
    reason="standard deviations from what is expected: a fair generator is that far off once in 1.7 million times",
)

# In float32, by quantity.
_FLOAT32: dict[str, Tolerance] = {
    # Levels 1 and 2: layers and networks.
    "round trip": Tolerance(
        limit=0.0, reason="weights are moved and transposed, never computed with: not one bit may change"
    ),
    "logits": Tolerance(
        limit=1e-5,
        yardstick=YARDSTICK,
        reason="sums of up to some thousand float32 terms err by about 1e-7, the nearest wrong layer by over 1e-3",
    ),
    "loss": Tolerance(limit=1e-5, yardstick=YARDSTICK, reason="the forward pass and one more sum"),
    "gradients": Tolerance(
        limit=1e-4,
        yardstick=YARDSTICK,
        floor=_GRADIENT_FLOOR,
        reason="the backward pass adds cancellation (batch norm, softmax minus one) to the forward's rounding",
    ),
    "step": Tolerance(
        limit=1e-4,
        yardstick=YARDSTICK,
        floor=_GRADIENT_FLOOR,
        reason="as for gradients, and the rounding of the parameters that they were taken off",
    ),
    "running statistics": Tolerance(
        limit=1e-5,
        yardstick=YARDSTICK,
        floor=_STATISTICS_FLOOR,
        reason="a mean and a variance over the batch: as for the forward pass",
    ),
    # Level 3: optimizers.
    "probe": Tolerance(
        limit=2e-6,
        reason="with epsilon 0.1 and a changing rate the right rules agree within 1e-6, wrong ones err by over 1e-4",
    ),
    "50 steps": Tolerance(
        limit=3e-6,
        reason="fifty roundings of parameters near 1; a wrong place of epsilon moves parameters by over 8e-6",
    ),
    "state": Tolerance(
        limit=2e-5, reason="averages of gradients and their squares; 1 - 0.999 taken in float32 is 1.3e-5 off by itself"
    ),
    "step count": Tolerance(limit=0.0, reason="a whole number"),
    "refusals": Tolerance(limit=0.0, reason="1 where a call was refused, as it has to be"),
    "resumed": Tolerance(limit=3e-6, reason="as for the steps: loading parameters and state back must lose nothing"),
    # Level 4: trajectories.
    "losses": Tolerance(
        limit=1e-4,
        yardstick=YARDSTICK,
        reason="clear of kinks thirty steps only add up roundings, to about 1e-6; rougher kernels may meet a kink",
    ),
    "parameters": Tolerance(limit=1e-3, yardstick=YARDSTICK, reason="as for the losses; biases stay small"),
    "evaluation": Tolerance(limit=1e-3, yardstick=YARDSTICK, reason="as for the parameters"),
    "losses near kinks": Tolerance(
        limit=1e-3,
        yardstick=1.0,
        reason="real images have exact ties in max pooling, which kernels break by rounding: here NumPy breaks them at "
        "random, which was measured to move losses by 0.05 (alexnet) to 0.2 (cnn_dropout) within thirty steps",
    ),
    "parameters near kinks": Tolerance(limit=1e-3, yardstick=1.0, reason="as for the losses"),
    "evaluation near kinks": Tolerance(limit=1e-3, yardstick=1.0, reason="as for the losses"),
    "scaling": Tolerance(
        limit=1e-4, floor=_GRADIENT_FLOOR, reason="gradients under the mask that the framework drew: as for gradients"
    ),
    "rate": _FIVE_SIGMA,
    "independence": _FIVE_SIGMA,
    "training steps": _FIVE_SIGMA,
    # Level 8: special values.
    "places": Tolerance(
        limit=0.0, unit="places", reason="NaN and infinity are where the formulas put them: how many elements are not"
    ),
    # Level 5: runs.
    "accuracy": Tolerance(
        limit=1.0,
        unit="points",
        reason="the far end of the 90 % interval of the mean difference over five seeds: two one-sided tests",
    ),
    "same seed": Tolerance(limit=0.0, reason="one thread on a CPU adds the same numbers in the same order"),
    "other seed": Tolerance(limit=0.0, unit="equal", reason="another seed must draw other masks"),
    # Level 7: the contract. Level 6, the loop, has the quantities of trajectories, and so have its other ones.
    "arrays of others": Tolerance(
        limit=0.0, unit="arrays", reason="what was handed out or handed in may not change by one bit"
    ),
    "movement": Tolerance(limit=1e-3, reason="as for the parameters, of what sixteen steps make of them"),
    "rounding to bfloat16": Tolerance(
        limit=1.0, unit="times", reason="the least error that rounding to 8 bits makes, over the error that was found"
    ),
}


def tolerances() -> list[tuple[str, str, Tolerance]]:
    """The whole table: quantity, precision, tolerance."""
    return [(quantity, precision, tolerance(quantity, precision)) for quantity in _FLOAT32 for precision in PRECISIONS]


def tolerance(quantity: str, precision: str) -> Tolerance:
    """The tolerance of a quantity. What is exact or no relative error is the same in every precision."""
    single = _FLOAT32[quantity]
    if precision == "float32" or single.limit == 0 or single.unit:
        return single
    if precision == "bfloat16":
        return Tolerance(limit=BFLOAT16_LIMIT, floor=single.floor, reason=_BFLOAT16_REASON)
    return Tolerance(
        limit=FLOAT64_LIMIT,
        floor=single.floor,
        reason="float64 rounds at 1e-16: what is left above 1e-10 is another formula, not another rounding",
    )
