"""Every update rule of ``specs.optimizers`` as a pure function of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

Slots = dict[str, Array]
"""Slot to its array, of the parameter's shape."""


class State(NamedTuple):
    """What a step moves, by canonical name: parameters, buffers, and slots as "<parameter>.<slot>"."""

    parameters: dict[str, Array]
    buffers: dict[str, Array]
    slots: dict[str, Array]


def scales(optimizer: Optimizer, rates: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """float64[K, 3]: of steps ``first``, ``first`` + 1, ... the rate and Adam's two divisors, 1 - beta^step.

    They are computed here in float64: 1 - 0.999 in float32 is off by 5e-5.
    """
    steps = np.arange(first, first + len(rates))
    betas = (optimizer.beta1, optimizer.beta2) if isinstance(optimizer, Adam) else (0.0, 0.0)
    return np.stack([rates, *(1 - beta**steps for beta in betas)], axis=1)


def clipped(gradients: Mapping[str, Array], most: float | None) -> dict[str, Array]:
    """The gradients, multiplied so that the L2 norm of all of them together is ``most`` where it was above."""
    if most is None:
        return dict(gradients)
    norm = jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in gradients.values()))
    return {name: gradient * (most / jnp.maximum(norm, most)) for name, gradient in gradients.items()}


def updated(
    optimizer: Optimizer, weight_decay: float, w: Array, g: Array, slots: Slots, scale: Array
) -> tuple[Array, Slots]:
    """A parameter and its slots after one step with the clipped gradient ``g``; ``scale`` is a row of ``scales``."""
    rate = scale[0]
    if isinstance(optimizer, AdamW):
        w = w - rate * weight_decay * w
    elif weight_decay:
        g = g + weight_decay * w
    direction, slots = _direction(optimizer, g, slots, scale)
    return w - rate * direction, slots


def _direction(optimizer: Optimizer, g: Array, slots: Slots, scale: Array) -> tuple[Array, Slots]:
    """What the learning rate is multiplied with, and the slots moved."""
    match optimizer:
        case SGD():
            if not optimizer.momentum:
                return g, {}
            v = optimizer.momentum * slots["velocity"] + g
            return g + optimizer.momentum * v if optimizer.nesterov else v, {"velocity": v}
        case Adam() | AdamW():
            m = _average(slots["first_moment"], g, optimizer.beta1)
            s = _average(slots["second_moment"], jnp.square(g), optimizer.beta2)
            direction = m / scale[1] / (jnp.sqrt(s / scale[2]) + optimizer.epsilon)
            return direction, {"first_moment": m, "second_moment": s}
        case Adadelta():
            a = _average(slots["square_average"], jnp.square(g), optimizer.rho)
            u = slots["accumulated_update"]
            d = jnp.sqrt(u + optimizer.epsilon) / jnp.sqrt(a + optimizer.epsilon) * g
            return d, {"square_average": a, "accumulated_update": _average(u, jnp.square(d), optimizer.rho)}
        case RMSprop():
            a = _average(slots["square_average"], jnp.square(g), optimizer.rho)
            return g / (jnp.sqrt(a) + optimizer.epsilon), {"square_average": a}
        case Adagrad():
            a = slots["square_sum"] + jnp.square(g)
            return g / (jnp.sqrt(a) + optimizer.epsilon), {"square_sum": a}


def _average(average: Array, value: Array, decay: float) -> Array:
    return decay * average + (1 - decay) * value
