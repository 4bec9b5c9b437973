"""Optimizers of the specs as Paddle's own, and their state in the canonical definition.

Paddle's SGD, Momentum, Adam, AdamW, Adadelta and Adagrad are canonical; its RMSProp is not (epsilon stands inside the
root, the rate inside the momentum buffer). RMSprop runs on Paddle's Adam kernel instead: with beta1 = 0 the first
moment is the gradient, and with both powers of beta held at 0 the bias corrections are 1, which leaves
w -= lr * g / (sqrt(s) + epsilon) exactly.

In float64 four of the kernels would still round their hyperparameters to single precision (0.9 becomes 0.89999998);
there the update is written in Paddle's tensor operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from backends.contract import Arrays, check_names
from backends.paddle.network import Entry
from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

# Canonical slot to Paddle's accumulator.
_ACCUMULATORS: dict[str, dict[str, str]] = {
    "sgd": {"velocity": "velocity"},
    "adam": {"first_moment": "moment1", "second_moment": "moment2"},
    "adamw": {"first_moment": "moment1", "second_moment": "moment2"},
    "adadelta": {"square_average": "_avg_squared_grad", "accumulated_update": "_avg_squared_update"},
    "rmsprop": {"square_average": "moment2"},
    "adagrad": {"square_sum": "moment"},
}


def create(spec: Optimizer, parameters: list[Any] | None, dtype: str) -> paddle.optimizer.Optimizer:
    """Paddle's optimizer for ``parameters`` (None: all of a static program), without accumulators yet."""
    rate = float(spec.learning_rate)
    decay = spec.weight_decay or None
    optimizers = _DOUBLE if dtype == "float64" else _SINGLE
    match spec:
        case SGD(momentum=0):
            return paddle.optimizer.SGD(rate, parameters, weight_decay=decay)
        case SGD():
            return optimizers["sgd"](rate, spec.momentum, parameters, use_nesterov=spec.nesterov, weight_decay=decay)
        case AdamW():
            return optimizers["adamw"](
                rate, spec.beta1, spec.beta2, spec.epsilon, parameters, weight_decay=spec.weight_decay
            )
        case Adam():
            return paddle.optimizer.Adam(rate, spec.beta1, spec.beta2, spec.epsilon, parameters, weight_decay=decay)
        case Adadelta():
            return optimizers["adadelta"](rate, spec.epsilon, spec.rho, parameters, weight_decay=decay)
        case RMSprop():
            return paddle.optimizer.Adam(rate, 0.0, spec.rho, spec.epsilon, parameters, weight_decay=decay)
        case Adagrad():
            return optimizers["adagrad"](rate, spec.epsilon, parameters, weight_decay=decay)


class State:
    """The accumulators of one optimizer, allocated at once, and the count of steps taken."""

    def __init__(self, spec: Optimizer, optimizer: paddle.optimizer.Optimizer, parameters: Mapping[str, Entry]) -> None:
        self._spec = spec
        self._optimizer = optimizer
        self._parameters = parameters
        self.step = 0
        block = paddle.static.default_main_program().global_block()
        optimizer._create_accumulators(block, [entry.tensor for entry in parameters.values()])
        self._write_powers()

    def read(self) -> Arrays:
        """As ``Session.optimizer_state`` promises."""
        return {
            "step": np.array(self.step, np.int64),
            **{name: entry.canonical(tensor.numpy()) for name, (entry, tensor) in self._slots().items()},
        }

    def write(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As ``Session.load_optimizer_state`` promises. Raises like ``Session.load_parameters``."""
        check_names({name: array.shape for name, array in self.read().items()}, state)
        for name, (entry, tensor) in self._slots().items():
            tensor.set_value(entry.native(state[name]))
        self.step = int(state["step"])
        self._write_powers()

    def tensors(self) -> list[Any]:
        """Every accumulator of the optimizer."""
        return [tensor for tensors in self._optimizer._accumulators.values() for tensor in tensors.values()]

    def _slots(self) -> dict[str, tuple[Entry, Any]]:
        accumulators = _ACCUMULATORS[self._spec.kind]
        return {
            f"{name}.{slot}": (entry, self._optimizer._accumulators[accumulators[slot]][entry.tensor.name])
            for name, entry in self._parameters.items()
            for slot in self._spec.slots
        }

    def _write_powers(self) -> None:
        """Set Adam's running products beta^(t+1), multiplied up as the kernel does it, to the bit."""
        betas = {
            Adam: lambda spec: (spec.beta1, spec.beta2),
            AdamW: lambda spec: (spec.beta1, spec.beta2),
            RMSprop: lambda _: (0.0, 0.0),
        }.get(type(self._spec), lambda _: ())(self._spec)
        for accumulator, beta in zip(("beta1_pow_acc", "beta2_pow_acc"), betas, strict=False):
            for tensor in self._optimizer._accumulators[accumulator].values():
                dtype = np.float64 if tensor.dtype == paddle.float64 else np.float32
                tensor.set_value(np.multiply.accumulate(np.full(self.step + 1, beta, dtype))[-1:])


class _Momentum(paddle.optimizer.Momentum):  # type: ignore[misc]
    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> None:
        w, g = param_and_grad
        g = g + self._regularization_coeff * w
        v = self._get_accumulator_master(self._velocity_acc_str, w)
        v.scale_(self._momentum).add_(g)
        w.subtract_(self._create_param_lr(param_and_grad) * (g + self._momentum * v if self._use_nesterov else v))


class _AdamW(paddle.optimizer.Adam):  # type: ignore[misc]
    """Decay ahead of Paddle's Adam kernel, which takes its hyperparameters in double precision."""

    def __init__(self, *args: Any, weight_decay: float) -> None:
        super().__init__(*args)
        self._decay = weight_decay

    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> None:
        w, _ = param_and_grad
        w.subtract_(self._create_param_lr(param_and_grad) * self._decay * w)
        super()._append_optimize_op(block, param_and_grad)


class _Adadelta(paddle.optimizer.Adadelta):  # type: ignore[misc]
    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> None:
        w, g = param_and_grad
        a = self._get_accumulator_master(self._avg_squared_grad_acc_str, w)
        u = self._get_accumulator_master(self._avg_squared_update_acc_str, w)
        a.scale_(self._rho).add_((1 - self._rho) * g * g)
        d = paddle.sqrt(u + self._epsilon) / paddle.sqrt(a + self._epsilon) * g
        u.scale_(self._rho).add_((1 - self._rho) * d * d)
        w.subtract_(self._create_param_lr(param_and_grad) * d)


class _Adagrad(paddle.optimizer.Adagrad):  # type: ignore[misc]
    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> None:
        w, g = param_and_grad
        a = self._get_accumulator_master(self._moment_acc_str, w)
        a.add_(g * g)
        w.subtract_(self._create_param_lr(param_and_grad) * g / (paddle.sqrt(a) + self._epsilon))


_SINGLE: dict[str, type] = {
    "sgd": paddle.optimizer.Momentum,
    "adamw": paddle.optimizer.AdamW,
    "adadelta": paddle.optimizer.Adadelta,
    "adagrad": paddle.optimizer.Adagrad,
}
_DOUBLE: dict[str, type] = {"sgd": _Momentum, "adamw": _AdamW, "adadelta": _Adadelta, "adagrad": _Adagrad}
