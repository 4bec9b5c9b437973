"""The optimizers' update rules (``specs.optimizers``) in MindSpore's operations.

MindSpore's own ``nn`` optimizers do not compute the canonical rules on a CPU: Adam puts epsilon elsewhere, RMSprop
starts its average at 1 with epsilon inside the root, Adagrad's epsilon is fixed, Momentum ignores Nesterov, and weight
decay skips every parameter whose name contains "beta" or "gamma".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop


class Update(nn.Cell):
    """One optimizer: the weights, the slots it keeps per weight, and (in subclasses) its rule.

    ``scalars(step, rate)`` gives the numbers that change from step to step, computed in double precision outside the
    graph; ``construct`` takes them as scalar tensors in that order, so that a new rate compiles nothing anew. Constants
    are tensors as well: MindSpore rounds a Python float to float32 even beside float64 tensors.
    """

    scalar_count = 1

    def __init__(self, optimizer: Optimizer, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(auto_prefix=False)
        self.weights = weights
        self.dtype = dtype
        self.slots = {slot: weights.clone(prefix=slot, init="zeros") for slot in optimizer.slots}
        self.decays = tuple(optimizer.weight_decay_of(name) > 0 for name in names)
        self.coupled = not isinstance(optimizer, AdamW)
        self.weight_decay = self.constant(optimizer.weight_decay)
        self.clips = optimizer.clip_norm is not None
        self.clip_norm = self.constant(optimizer.clip_norm or 1.0)

    def constant(self, value: float) -> ms.Tensor:
        """A scalar in the weights' own precision."""
        return ms.Tensor(value, self.dtype)

    def scalars(self, step: int, rate: float) -> tuple[float, ...]:
        """The inputs of step ``step``, counted from 1, at learning rate ``rate``."""
        return (rate,)

    def construct(self, gradients: Any, scalars: Any) -> None:
        if self.clips:
            gradients = self.clipped(gradients)
        for i in range(len(self.weights)):
            gradient = gradients[i]
            if self.coupled and self.decays[i]:
                gradient = gradient + self.weight_decay * self.weights[i]
            self.update(i, gradient, scalars)

    def clipped(self, gradients: Any) -> Any:
        """The gradients, their global L2 norm at most ``clip_norm``."""
        total = ops.ReduceSum()(ops.square(gradients[0]))
        for gradient in gradients[1:]:
            total = total + ops.ReduceSum()(ops.square(gradient))
        factor = self.clip_norm / ops.maximum(ops.sqrt(total), self.clip_norm)
        scaled: Any = ()
        for gradient in gradients:
            scaled += (gradient * factor,)
        return scaled

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        """Move weight ``i`` and its slots."""
        raise NotImplementedError


class _SGD(Update):
    def __init__(self, optimizer: SGD, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.kernel = ops.ApplyGradientDescent()

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        self.kernel(self.weights[i], scalars[0], gradient)


class _Momentum(Update):
    def __init__(self, optimizer: SGD, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.momentum = self.constant(optimizer.momentum)
        self.velocity = self.slots["velocity"]
        self.kernel = ops.ApplyMomentum(use_nesterov=False)

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        self.kernel(self.weights[i], self.velocity[i], scalars[0], gradient, self.momentum)


class _Nesterov(_Momentum):
    """In elementary operations: the kernel of ApplyMomentum ignores ``use_nesterov`` on a CPU."""

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        velocity = self.momentum * self.velocity[i] + gradient
        ops.assign(self.velocity[i], velocity)
        ops.assign_sub(self.weights[i], scalars[0] * (gradient + self.momentum * velocity))


class _Adam(Update):
    """The kernel adds epsilon to sqrt(s) without bias correction and corrects the step size from powers of beta.

    lr * (m/c1) / (sqrt(s/c2) + epsilon) = (lr*sqrt(c2)/c1) * m / (sqrt(s) + epsilon*sqrt(c2)): given this step size and
    this epsilon, and powers of 0, which correct nothing, it computes the canonical rule.
    """

    def __init__(self, optimizer: Adam, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.optimizer = optimizer
        self.decoupled = isinstance(optimizer, AdamW) and optimizer.weight_decay > 0
        self.scalar_count = 3 if self.decoupled else 2
        self.beta1, self.beta2 = self.constant(optimizer.beta1), self.constant(optimizer.beta2)
        self.power = self.constant(0.0)
        # What beta rounds to is what the kernel's averages decay by; their correction has to fit.
        self.rounded1, self.rounded2 = float(self.beta1.asnumpy()), float(self.beta2.asnumpy())
        self.first, self.second = self.slots["first_moment"], self.slots["second_moment"]
        self.kernel = ops.Adam(use_locking=False, use_nesterov=False)
        self.depend = ops.Depend()

    def scalars(self, step: int, rate: float) -> tuple[float, ...]:
        """Step size and epsilon as above, and the factor of decoupled decay."""
        correction1 = 1 - self.rounded1**step
        root2 = math.sqrt(1 - self.rounded2**step)
        adaptive = rate * root2 / correction1, self.optimizer.epsilon * root2
        return (*adaptive, 1 - rate * self.optimizer.weight_decay) if self.decoupled else adaptive

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        if self.decoupled and self.decays[i]:
            # Nothing else keeps this from being done while the backward pass of a long graph still reads the weight.
            ops.assign(self.weights[i], self.depend(self.weights[i], gradient) * scalars[2])
        self.kernel(
            self.weights[i],
            self.first[i],
            self.second[i],
            self.power,
            self.power,
            scalars[0],
            self.beta1,
            self.beta2,
            scalars[1],
            gradient,
        )


class _AdamInDouble(_Adam):
    """In elementary operations: the kernel takes no float64."""

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        weight = self.weights[i] * scalars[2] if self.decoupled and self.decays[i] else self.weights[i]
        first = self.beta1 * self.first[i] + (1 - self.beta1) * gradient
        second = self.beta2 * self.second[i] + (1 - self.beta2) * ops.square(gradient)
        ops.assign(self.first[i], first)
        ops.assign(self.second[i], second)
        ops.assign(self.weights[i], weight - scalars[0] * first / (ops.sqrt(second) + scalars[1]))


class _Adadelta(Update):
    def __init__(self, optimizer: Adadelta, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.rho, self.epsilon = self.constant(optimizer.rho), self.constant(optimizer.epsilon)
        self.average, self.accumulated = self.slots["square_average"], self.slots["accumulated_update"]
        self.kernel = ops.ApplyAdadelta()

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        slots = self.average[i], self.accumulated[i]
        self.kernel(self.weights[i], *slots, scalars[0], self.rho, self.epsilon, gradient)


class _AdadeltaInDouble(_Adadelta):
    """In elementary operations: the kernel computes float64 in float32."""

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        average = self.rho * self.average[i] + (1 - self.rho) * ops.square(gradient)
        delta = ops.sqrt((self.accumulated[i] + self.epsilon) / (average + self.epsilon)) * gradient
        ops.assign(self.average[i], average)
        ops.assign(self.accumulated[i], self.rho * self.accumulated[i] + (1 - self.rho) * ops.square(delta))
        ops.assign_sub(self.weights[i], scalars[0] * delta)


class _RMSprop(Update):
    def __init__(self, optimizer: RMSprop, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.rho, self.new = self.constant(optimizer.rho), self.constant(1 - optimizer.rho)
        self.epsilon = self.constant(optimizer.epsilon)
        self.average = self.slots["square_average"]

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        average = self.rho * self.average[i] + self.new * ops.square(gradient)
        ops.assign(self.average[i], average)
        ops.assign_sub(self.weights[i], scalars[0] * gradient / (ops.sqrt(average) + self.epsilon))


class _Adagrad(Update):
    def __init__(self, optimizer: Adagrad, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> None:
        super().__init__(optimizer, weights, names, dtype)
        self.epsilon = self.constant(optimizer.epsilon)
        self.total = self.slots["square_sum"]

    def update(self, i: int, gradient: Any, scalars: Any) -> None:
        total = self.total[i] + ops.square(gradient)
        ops.assign(self.total[i], total)
        ops.assign_sub(self.weights[i], scalars[0] * gradient / (ops.sqrt(total) + self.epsilon))


def build_update(optimizer: Optimizer, weights: ms.ParameterTuple, names: Sequence[str], dtype: Any) -> Update:
    """The update cell of an optimizer over ``weights`` of these canonical names, slots at 0."""
    double = dtype == ms.float64
    match optimizer:
        case SGD():
            rule = _Nesterov if optimizer.nesterov else _Momentum if optimizer.momentum else _SGD
            return rule(optimizer, weights, names, dtype)
        case Adam():
            return (_AdamInDouble if double else _Adam)(optimizer, weights, names, dtype)
        case Adadelta():
            return (_AdadeltaInDouble if double else _Adadelta)(optimizer, weights, names, dtype)
        case RMSprop():
            return _RMSprop(optimizer, weights, names, dtype)
        case Adagrad():
            return _Adagrad(optimizer, weights, names, dtype)
