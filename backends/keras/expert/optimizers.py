"""TensorFlow's own update kernels, one for all of a rule, in place of elementary operations.

Kernels that compute the canonical rule: ApplyRMSProp adds epsilon inside the root, and ApplyAdam takes 1 - beta2 from a
float32 beta2, which is off by 1.3e-5 of its value for 0.999. Those two rules stay as they are.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from backends.keras.optimizers import Canonical, Decays, Rate, keras_optimizer
from specs import optimizers as O


def kernel_optimizer(rule: O.Optimizer, rate: Rate, decays: Decays) -> keras.optimizers.Optimizer:
    """As ``keras_optimizer``, with a kernel for the rules that have one."""
    kernel = KERNELS.get(type(rule))
    return kernel(rule, rate, decays) if kernel else keras_optimizer(rule, rate, decays)


class SGD(Canonical):
    """SGD with and without momentum."""

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        if not self.rule.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=learning_rate, delta=gradient)
            return
        (velocity,) = self.slots_of(variable)
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=tf.constant(self.rule.momentum, variable.dtype),
            use_nesterov=self.rule.nesterov,
        )


class Adadelta(Canonical):
    """Adadelta."""

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        square_average, accumulated_update = self.slots_of(variable)
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=square_average.value.handle,
            accum_update=accumulated_update.value.handle,
            lr=learning_rate,
            rho=tf.constant(self.rule.rho, variable.dtype),
            epsilon=tf.constant(self.rule.epsilon, variable.dtype),
            grad=gradient,
        )


class Adagrad(Canonical):
    """Adagrad."""

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        (square_sum,) = self.slots_of(variable)
        tf.raw_ops.ResourceApplyAdagradV2(
            var=variable.handle,
            accum=square_sum.value.handle,
            lr=learning_rate,
            epsilon=tf.constant(self.rule.epsilon, variable.dtype),
            grad=gradient,
        )


KERNELS: dict[type, type[Canonical]] = {O.SGD: SGD, O.Adadelta: Adadelta, O.Adagrad: Adagrad}
