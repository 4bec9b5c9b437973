"""Optimizers of the specs as Paddle's own, and their state in the canonical definition.

Paddle's SGD, Momentum, Adam, AdamW, Adadelta and Adagrad are canonical; its RMSProp is not (epsilon stands inside the
root, the rate inside the momentum buffer). RMSprop runs on Paddle's Adam instead: with beta1 = 0 the first moment is
the gradient, and with both powers of beta held at 0 the bias corrections are 1, which leaves
w -= lr * g / (sqrt(s) + epsilon) exactly.

In float64 four of the kernels would still round their hyperparameters to single precision (0.9 becomes 0.89999998);
there the update is written in tensor operations.
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


def create(spec: Optimizer, parameters: list[Any] | None, dtype: str, decays: Mapping[str, float]) -> Any:
    """Paddle's optimizer for ``parameters`` (None: all of a static program), of ``dtype``; the plain rule instead
    where Paddle's is not exact in float64.

    ``decays`` has the weight decay of each parameter by Paddle's name; ``mark_exempt`` has to be told of them too.
    """
    rate = float(spec.learning_rate)
    decay = spec.weight_decay or None
    clip = paddle.nn.ClipGradByGlobalNorm(spec.clip_norm) if spec.clip_norm else None  # Paddle clips before it decays
    common = {"weight_decay": decay, "grad_clip": clip}
    match spec:
        case SGD(momentum=0):
            return paddle.optimizer.SGD(rate, parameters, **common)
        case AdamW():
            betas = rate, spec.beta1, spec.beta2, spec.epsilon, parameters
            if dtype == "float64":
                return _DecoupledAdam(*betas, decays=decays, grad_clip=clip)
            common = {"weight_decay": spec.weight_decay, "grad_clip": clip}
            return paddle.optimizer.AdamW(*betas, apply_decay_param_fun=lambda name: decays[name] > 0, **common)
        case Adam():
            return paddle.optimizer.Adam(rate, spec.beta1, spec.beta2, spec.epsilon, parameters, **common)
        case RMSprop():
            return paddle.optimizer.Adam(rate, 0.0, spec.rho, spec.epsilon, parameters, **common)
        case _ if dtype == "float64":
            return PlainRule(spec, parameters or [], decays, clip)
        case SGD():
            nesterov = spec.nesterov
            return paddle.optimizer.Momentum(rate, spec.momentum, parameters, nesterov, **common)
        case Adadelta():
            return paddle.optimizer.Adadelta(rate, spec.epsilon, spec.rho, parameters, **common)
        case Adagrad():
            return paddle.optimizer.Adagrad(rate, spec.epsilon, parameters, **common)


def mark_exempt(parameter: Any, spec: Optimizer, decays: Mapping[str, float]) -> None:
    """Have Paddle's optimizers keep their coupled weight decay off a parameter that has none of its own.

    Where nothing decays nothing is marked: Paddle would add 0 times the parameter to every gradient.
    """
    if spec.weight_decay and not decays[parameter.name]:
        parameter.regularizer = paddle.regularizer.L2Decay(0.0)


class PlainRule:
    """SGD with momentum, Adadelta or Adagrad in tensor operations, to be used as Paddle's own optimizers are.

    ``state_dict`` has the names that Paddle's own would give.
    """

    def __init__(self, spec: Optimizer, parameters: list[Any], decays: Mapping[str, float], clip: Any) -> None:
        self._spec = spec
        self._parameters = parameters
        self._decays = decays
        self._clip = clip
        self._rate = spec.learning_rate
        self._state = {
            _state_name(w, accumulator): paddle.zeros_like(w)
            for w in parameters
            for accumulator in _ACCUMULATORS[spec.kind].values()
        }

    def state_dict(self) -> dict[str, paddle.Tensor]:
        """The accumulators themselves."""
        return self._state

    def set_lr(self, rate: float) -> None:
        """The learning rate of the steps to come."""
        self._rate = rate

    def clear_grad(self) -> None:
        """Gradients of 0."""
        for w in self._parameters:
            w.clear_gradient()

    def step(self) -> None:
        """One update of every parameter."""
        with paddle.no_grad():
            gradients = [(w, w.grad) for w in self._parameters]
            for w, gradient in self._clip(gradients) if self._clip else gradients:
                slots = (self._state[_state_name(w, name)] for name in _ACCUMULATORS[self._spec.kind].values())
                w.subtract_(self._rate * self._direction(gradient + self._decays[w.name] * w, *slots))

    def _direction(self, g: paddle.Tensor, *slots: paddle.Tensor) -> paddle.Tensor:
        match self._spec:
            case SGD(momentum=momentum, nesterov=nesterov):
                (v,) = slots
                v.scale_(momentum).add_(g)
                return g + momentum * v if nesterov else v
            case Adadelta(rho=rho, epsilon=epsilon):
                a, u = slots
                a.scale_(rho).add_((1 - rho) * g * g)
                d = paddle.sqrt(u + epsilon) / paddle.sqrt(a + epsilon) * g
                u.scale_(rho).add_((1 - rho) * d * d)
                return d
            case Adagrad(epsilon=epsilon):
                (a,) = slots
                a.add_(g * g)
                return g / (paddle.sqrt(a) + epsilon)
        raise ValueError(f"{self._spec.kind} has no rule of its own here")


class _DecoupledAdam(paddle.optimizer.Adam):  # type: ignore[misc]  # Paddle is untyped here
    """AdamW: decay ahead of Paddle's Adam, which takes its hyperparameters in double precision."""

    def __init__(self, *arguments: Any, decays: Mapping[str, float], grad_clip: Any) -> None:
        super().__init__(*arguments, grad_clip=grad_clip)
        self._parameters, self._decays = arguments[-1], decays

    def step(self) -> None:
        """One update of every parameter."""
        with paddle.no_grad():
            for w in self._parameters:
                w.subtract_(self.get_lr() * self._decays[w.name] * w)
        super().step()


class State:
    """The accumulators of one optimizer and the count of steps taken."""

    def __init__(self, spec: Optimizer, optimizer: Any, parameters: Mapping[str, Entry]) -> None:
        self._spec = spec
        self._optimizer = optimizer
        self._parameters = parameters
        self.step = 0
        # Paddle makes an optimizer's state in its first step. One is taken before parameters are loaded, with gradients
        # of 0, so that there is a state to read and write from the start.
        for entry in parameters.values():
            entry.tensor.grad = paddle.zeros_like(entry.tensor)
        optimizer.step()
        optimizer.clear_grad()
        self.write({name: np.zeros_like(array) for name, array in self.read().items()})

    def read(self) -> Arrays:
        """As ``Session.optimizer_state`` promises."""
        slots = {name: entry.canonical(tensor.numpy()) for name, (entry, tensor) in self._slots().items()}
        return {"step": np.array(self.step, np.int64), **slots}

    def write(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As ``Session.load_optimizer_state`` promises. Raises like ``Session.load_parameters``."""
        shapes = {name: entry.shape for name, (entry, _) in self._slots().items()}
        check_names({"step": (), **shapes}, state)
        for name, (entry, tensor) in self._slots().items():
            tensor.set_value(entry.native(state[name]))
        self.step = int(state["step"])
        self._write_powers()

    def _slots(self) -> dict[str, tuple[Entry, paddle.Tensor]]:
        tensors, accumulators = self._optimizer.state_dict(), _ACCUMULATORS[self._spec.kind]
        return {
            f"{name}.{slot}": (entry, tensors[_state_name(entry.tensor, accumulators[slot])])
            for name, entry in self._parameters.items()
            for slot in self._spec.slots
        }

    def _write_powers(self) -> None:
        """Set Adam's running products beta^(t+1), multiplied up as the kernel does it, to the bit."""
        match self._spec:
            case Adam(beta1=beta1, beta2=beta2):
                betas = {"_beta1_pow_acc_0": beta1, "_beta2_pow_acc_0": beta2}
            case RMSprop():
                betas = {"_beta1_pow_acc_0": 0.0, "_beta2_pow_acc_0": 0.0}
            case _:
                return
        for name, tensor in self._optimizer.state_dict().items():
            for ending, beta in betas.items():
                if name.endswith(ending):
                    powers = np.full(self.step + 1, beta, tensor.numpy().dtype)
                    tensor.set_value(np.multiply.accumulate(powers)[-1:])


def _state_name(w: paddle.Tensor, accumulator: str) -> str:
    """The name of a parameter's accumulator in ``state_dict`` and in model.pdopt."""
    return f"{w.name}_{accumulator}_0"
