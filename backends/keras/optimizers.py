"""The canonical update rules in TensorFlow, as plain assignments or by TensorFlow's own fused kernels.

Keras's optimizers differ from ``specs.optimizers`` in where epsilon sits, in the learning rate that they fold into the
momentum buffer and in their decoupled weight decay, so the rules are written here. Imports TensorFlow: for
``keras_backend`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

Slots = dict[str, tf.Variable]
Rule = Callable[[Any, tf.Variable, Slots, Any, Any], None]
"""(optimizer, parameter, its slots, its gradient, the step's coefficients) to nothing: assigns to both."""


def coefficients(optimizer: Optimizer, steps_before: int, learning_rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """What changes from step to step: float64[K, m], a row per step that follows ``steps_before`` steps.

    Column 0 is the learning rate. For Adam and AdamW column 1 is the rate with the bias corrections in it,
    lr * sqrt(1 - beta2^t) / (1 - beta1^t), and column 2 is epsilon * sqrt(1 - beta2^t): with these,
    w -= c1 * m / (sqrt(s) + c2) is algorithm 1 of Kingma & Ba, computed in float64 where float32 would lose digits.
    """
    if not isinstance(optimizer, Adam):
        return learning_rates[:, None]
    t = np.arange(steps_before + 1, steps_before + 1 + len(learning_rates), dtype=np.float64)
    root = np.sqrt(1 - optimizer.beta2**t)
    return np.stack(
        [learning_rates, learning_rates * root / (1 - optimizer.beta1**t), optimizer.epsilon * root], axis=1
    )


class Update:
    """An optimizer's state and its step as a function of tensors for tracing."""

    def __init__(self, optimizer: Optimizer, parameters: Sequence[tf.Variable], *, fused: bool) -> None:
        self.optimizer = optimizer
        self.slots: list[Slots] = [
            {slot: tf.Variable(tf.zeros_like(w), trainable=False) for slot in optimizer.slots} for w in parameters
        ]
        self._parameters = list(parameters)
        self._kernel = KERNELS.get(type(optimizer)) if fused else None
        self._rule = self._kernel or RULES[type(optimizer)]

    def apply(self, gradients: Sequence[Any], c: Any) -> None:
        """One step; ``c`` is a row of ``coefficients`` in the parameters' dtype."""
        decay = self.optimizer.weight_decay
        for w, slots, g in zip(self._parameters, self.slots, gradients, strict=True):
            if isinstance(self.optimizer, AdamW):
                w.assign_sub(c[0] * decay * w)
            elif decay:
                g = g + decay * w  # noqa: PLW2901
            self._rule(self.optimizer, w, slots, g, c)

    def tuning(self) -> tuple[str, ...]:
        """The kernel in use, for the report."""
        return ("TensorFlow's fused kernel as optimizer",) if self._kernel else ()


def _sgd(o: SGD, w: Any, slots: Slots, g: Any, c: Any) -> None:
    if o.momentum:
        v = slots["velocity"].assign(o.momentum * slots["velocity"] + g)
        g = g + o.momentum * v if o.nesterov else v
    w.assign_sub(c[0] * g)


def _adam(o: Adam, w: Any, slots: Slots, g: Any, c: Any) -> None:
    m = slots["first_moment"].assign(o.beta1 * slots["first_moment"] + (1 - o.beta1) * g)
    s = slots["second_moment"].assign(o.beta2 * slots["second_moment"] + (1 - o.beta2) * g * g)
    w.assign_sub(c[1] * m / (tf.sqrt(s) + c[2]))


def _adadelta(o: Adadelta, w: Any, slots: Slots, g: Any, c: Any) -> None:
    a = slots["square_average"].assign(o.rho * slots["square_average"] + (1 - o.rho) * g * g)
    u = slots["accumulated_update"]
    d = tf.sqrt(u + o.epsilon) / tf.sqrt(a + o.epsilon) * g
    u.assign(o.rho * u + (1 - o.rho) * d * d)
    w.assign_sub(c[0] * d)


def _rmsprop(o: RMSprop, w: Any, slots: Slots, g: Any, c: Any) -> None:
    s = slots["square_average"].assign(o.rho * slots["square_average"] + (1 - o.rho) * g * g)
    w.assign_sub(c[0] * g / (tf.sqrt(s) + o.epsilon))


def _adagrad(o: Adagrad, w: Any, slots: Slots, g: Any, c: Any) -> None:
    a = slots["square_sum"].assign_add(g * g)
    w.assign_sub(c[0] * g / (tf.sqrt(a) + o.epsilon))


def _kernel_sgd(o: SGD, w: Any, slots: Slots, g: Any, c: Any) -> None:
    if o.momentum:
        tf.raw_ops.ResourceApplyMomentum(
            var=w.handle,
            accum=slots["velocity"].handle,
            lr=c[0],
            grad=g,
            momentum=tf.constant(o.momentum, w.dtype),
            use_nesterov=o.nesterov,
        )
    else:
        tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=c[0], delta=g)


def _kernel_adadelta(o: Adadelta, w: Any, slots: Slots, g: Any, c: Any) -> None:
    tf.raw_ops.ResourceApplyAdadelta(
        var=w.handle,
        accum=slots["square_average"].handle,
        accum_update=slots["accumulated_update"].handle,
        lr=c[0],
        rho=tf.constant(o.rho, w.dtype),
        epsilon=tf.constant(o.epsilon, w.dtype),
        grad=g,
    )


def _kernel_adagrad(o: Adagrad, w: Any, slots: Slots, g: Any, c: Any) -> None:
    tf.raw_ops.ResourceApplyAdagradV2(
        var=w.handle, accum=slots["square_sum"].handle, lr=c[0], epsilon=tf.constant(o.epsilon, w.dtype), grad=g
    )


RULES: dict[type, Rule] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    Adadelta: _adadelta,
    RMSprop: _rmsprop,
    Adagrad: _adagrad,
}
KERNELS: dict[type, Rule] = {SGD: _kernel_sgd, Adadelta: _kernel_adadelta, Adagrad: _kernel_adagrad}
"""Kernels that compute the canonical rule. ApplyRMSProp adds epsilon inside the root, and ApplyAdam takes 1 - beta2

from a float32 beta2, which is off by 1.3e-5 of its value for 0.999: those two stay plain.
"""
