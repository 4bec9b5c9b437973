"""Every update rule of ``specs.optimizers`` in NumPy, in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

Array = NDArray[Any]


def clipped(gradients: dict[str, Array], most: float | None) -> dict[str, Array]:
    """The gradients, multiplied so that the L2 norm of all of them together is ``most`` where it was above."""
    if most is None:
        return gradients
    norm = float(np.sqrt(sum(np.vdot(gradient, gradient) for gradient in gradients.values())))
    return {name: gradient * (most / max(norm, most)) for name, gradient in gradients.items()}


def update(
    optimizer: Optimizer,
    w: Array,
    g: Array,
    state: Mapping[str, Array],
    *,
    learning_rate: float,
    weight_decay: float,
    step: int,
) -> None:
    """Change the parameter ``w`` and its ``state`` ({slot: array of w's shape}) in place by one step.

    ``g`` is the clipped gradient without weight decay, left as it is; ``weight_decay`` is this parameter's; ``step``
    counts from 1.
    """
    if isinstance(optimizer, AdamW):
        w -= learning_rate * weight_decay * w
    elif weight_decay:
        g = g + weight_decay * w
    w -= learning_rate * _direction(optimizer, g, state, step)


def _direction(optimizer: Optimizer, g: Array, state: Mapping[str, Array], step: int) -> Array:
    """What the learning rate is multiplied with; moves ``state``."""
    match optimizer:
        case SGD():
            if not optimizer.momentum:
                return g
            v = state["velocity"]
            v[...] = optimizer.momentum * v + g
            return g + optimizer.momentum * v if optimizer.nesterov else v
        case Adam() | AdamW():
            m = _average(state["first_moment"], g, optimizer.beta1)
            s = _average(state["second_moment"], np.square(g), optimizer.beta2)
            corrected = m / (1 - optimizer.beta1**step)
            return _divided(corrected, s / (1 - optimizer.beta2**step), optimizer.epsilon)
        case Adadelta():
            a = _average(state["square_average"], np.square(g), optimizer.rho)
            u = state["accumulated_update"]
            d: Array = np.sqrt(u + optimizer.epsilon) / np.sqrt(a + optimizer.epsilon) * g
            _average(u, np.square(d), optimizer.rho)
            return d
        case RMSprop():
            return _divided(g, _average(state["square_average"], np.square(g), optimizer.rho), optimizer.epsilon)
        case Adagrad():
            a = state["square_sum"]
            a += np.square(g)
            return _divided(g, a, optimizer.epsilon)


def _average(average: Array, value: Array, decay: float) -> Array:
    """Move ``average`` in place to decay * average + (1 - decay) * value, and return it."""
    average[...] = decay * average + (1 - decay) * value
    return average


def _divided(numerator: Array, square: Array, epsilon: float) -> Array:
    result: Array = numerator / (np.sqrt(square) + epsilon)
    return result
