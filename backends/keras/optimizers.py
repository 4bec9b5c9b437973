"""The canonical optimizers as Keras optimizers: Keras's own where the rule is canonical, else a class of ours.

Keras's SGD without momentum and its Adadelta are canonical. Its other rules differ from ``specs.optimizers`` in where
epsilon stands or fold the learning rate into the momentum, which a rate of 0 then loses; its Adam takes beta2 through
float32 in float64 too, so that 1 - beta2 is 1.3e-5 of its value off. Ours are written on Keras alone, as the docstring
of ``keras.optimizers.Optimizer`` shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from specs import optimizers as O

Rate = Callable[[], Any]
"""Gives the learning rate of the step, a scalar tensor of the variables' dtype."""

Decays = Sequence[float]
"""The weight decay of each variable, in order."""

MakeOptimizer = Callable[[O.Optimizer, Rate, Decays], keras.optimizers.Optimizer]
"""An optimizer that follows a rule."""


def keras_optimizer(rule: O.Optimizer, rate: Rate, decays: Decays) -> keras.optimizers.Optimizer:
    """An optimizer that follows ``rule``, weight decay but AdamW's apart: ``add_weight_decay`` is for that."""
    match rule:
        case O.SGD(momentum=0):
            return keras.optimizers.SGD(rate)
        case O.Adadelta():
            return keras.optimizers.Adadelta(rate, rule.rho, rule.epsilon)
        case _:
            return RULES[type(rule)](rule, rate, decays)


def add_weight_decay(
    rule: O.Optimizer, gradients: Sequence[Any], variables: Sequence[Any], decays: Decays
) -> Sequence[Any]:
    """The gradients with the coupled weight decay of ``rule`` in them; AdamW decouples its own."""
    if isinstance(rule, O.AdamW):
        return gradients
    return [
        gradient + decay * variable if decay else gradient
        for gradient, variable, decay in zip(gradients, variables, decays, strict=True)
    ]


def slot_variables(
    optimizer: keras.optimizers.Optimizer, names: Sequence[str], slots: Sequence[str]
) -> dict[str, tuple[str, keras.Variable]]:
    """ "<parameter>.<slot>" to the parameter's name and the slot's variable.

    ``names`` are of the variables that the optimizer was built with. It keeps its step count first, then every slot of
    one variable after another's.
    """
    variables = iter(optimizer.variables[1:])
    return {f"{name}.{slot}": (name, next(variables)) for name in names for slot in slots}


class Canonical(keras.optimizers.Optimizer):
    """An optimizer with the slots that ``rule`` names."""

    def __init__(self, rule: Any, rate: Rate, decays: Decays) -> None:
        super().__init__(learning_rate=rate, name=rule.kind)
        self.rule = rule
        self.decays = decays

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the slots."""
        if self.built:
            return
        super().build(variables)
        self.slots = [
            [self.add_variable_from_reference(variable, name=slot) for slot in self.rule.slots]
            for variable in variables
        ]

    def slots_of(self, variable: Any) -> list[keras.Variable]:
        """The slots of a variable, in the order in which the rule names them."""
        slots: list[keras.Variable] = self.slots[self._get_variable_index(variable)]
        return slots


class Momentum(Canonical):
    """SGD with momentum, the rate outside the velocity."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        momentum = self.rule.momentum
        (slot,) = self.slots_of(variable)
        velocity = momentum * slot + gradient
        self.assign(slot, velocity)
        self.assign_sub(variable, learning_rate * (gradient + momentum * velocity if self.rule.nesterov else velocity))


class Adam(Canonical):
    """Adam and AdamW with both bias corrections drawn to the scalars: w -= a * m / (sqrt(s) + b)."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step of all variables. 1 - beta^t is taken as -expm1(t log beta), which loses no digits."""
        step = ops.cast(self.iterations + 1, grads[0].dtype)
        first, second = (
            -ops.expm1(step * (math.log(beta) if beta else -math.inf)) for beta in (self.rule.beta1, self.rule.beta2)
        )
        root = ops.sqrt(second)
        self.corrections = root / first, self.rule.epsilon * root
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        beta1, beta2 = self.rule.beta1, self.rule.beta2
        first, second = self.slots_of(variable)
        m = beta1 * first + (1 - beta1) * gradient
        s = beta2 * second + (1 - beta2) * ops.square(gradient)
        self.assign(first, m)
        self.assign(second, s)
        scale, epsilon = self.corrections
        step = scale * m / (ops.sqrt(s) + epsilon)
        decay = self.decays[self._get_variable_index(variable)]
        if decay and isinstance(self.rule, O.AdamW):  # Keras's own would take the rule's constant through float32
            step = step + decay * variable
        self.assign_sub(variable, learning_rate * step)


class RMSprop(Canonical):
    """RMSprop with epsilon outside the root."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        (slot,) = self.slots_of(variable)
        average = self.rule.rho * slot + (1 - self.rule.rho) * ops.square(gradient)
        self.assign(slot, average)
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(average) + self.rule.epsilon))


class Adagrad(Canonical):
    """Adagrad from a sum of 0, epsilon outside the root."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        (slot,) = self.slots_of(variable)
        total = slot + ops.square(gradient)
        self.assign(slot, total)
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(total) + self.rule.epsilon))


RULES: dict[type, type[Canonical]] = {
    O.SGD: Momentum,
    O.Adam: Adam,
    O.AdamW: Adam,
    O.RMSprop: RMSprop,
    O.Adagrad: Adagrad,
}
