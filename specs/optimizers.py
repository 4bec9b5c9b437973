"""The optimizers: one frozen type per update rule, its formula in its docstring.

g is the gradient, w the parameter, lr the learning rate of the step, t the step counted from 1. Before anything else
``clip_norm`` c multiplies all gradients by c / max(n, c), n being the L2 norm of all of them together (Pascanu et al.
2013). With coupled ``weight_decay`` every rule but AdamW then adds weight_decay * w to g: with ``decay`` "all" for
every parameter without exception, with "weights" for weights alone: no bias, gain of a norm or embedding decays.
``slots`` names the state each rule keeps per parameter, an array of the parameter's shape; all of it starts at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from specs.codec import later
from specs.errors import FieldError


def _positive(name: str, value: float) -> None:
    if not (0 < value < float("inf")):
        raise FieldError(name, f"must be positive and finite, got {value}")


def _fraction(name: str, value: float) -> None:
    if not (0 <= value < 1):
        raise FieldError(name, f"must be in [0, 1), got {value}")


@dataclass(frozen=True, kw_only=True)
class _Optimizer:
    learning_rate: float
    weight_decay: float = 0.0
    decay: Literal["all", "weights"] = later("all")
    clip_norm: float | None = later(None)

    def __post_init__(self) -> None:
        _positive("learning_rate", self.learning_rate)
        if not (0 <= self.weight_decay < float("inf")):
            raise FieldError("weight_decay", f"must be non-negative and finite, got {self.weight_decay}")
        if self.decay not in ("all", "weights"):
            raise FieldError("decay", f"must be 'all' or 'weights', got {self.decay!r}")
        if self.clip_norm is not None:
            _positive("clip_norm", self.clip_norm)

    def weight_decay_of(self, parameter: str) -> float:
        """The weight decay of a parameter by its canonical name, in whose last part "weight" stands for a weight."""
        return self.weight_decay if self.decay == "all" or "weight" in parameter.rpartition(".")[2] else 0.0


@dataclass(frozen=True, kw_only=True)
class SGD(_Optimizer):
    """v = momentum * v + g; w -= lr * v. Nesterov: w -= lr * (g + momentum * v). The rate stays outside the buffer."""

    kind: ClassVar[str] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        """Plain SGD keeps no state."""
        return ("velocity",) if self.momentum else ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("momentum", self.momentum)
        if self.nesterov and self.momentum == 0:
            raise FieldError("nesterov", "needs a momentum above 0")


@dataclass(frozen=True, kw_only=True)
class Adam(_Optimizer):
    """Kingma & Ba 2015, algorithm 1: m = b1*m + (1-b1)*g; s = b2*s + (1-b2)*g^2;

    w -= lr * m/(1-b1^t) / (sqrt(s/(1-b2^t)) + epsilon).
    """

    kind: ClassVar[str] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")
    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("beta1", self.beta1)
        _fraction("beta2", self.beta2)
        _positive("epsilon", self.epsilon)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Loshchilov & Hutter 2019: w -= lr * weight_decay * w, then Adam's update with the undecayed gradient."""

    kind: ClassVar[str] = "adamw"
    weight_decay: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Adadelta(_Optimizer):
    """Zeiler 2012: a = rho*a + (1-rho)*g^2; d = sqrt(u + epsilon) / sqrt(a + epsilon) * g;

    u = rho*u + (1-rho)*d^2; w -= lr * d.
    """

    kind: ClassVar[str] = "adadelta"
    slots: ClassVar[tuple[str, ...]] = ("square_average", "accumulated_update")
    learning_rate: float = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("rho", self.rho)
        _positive("epsilon", self.epsilon)


@dataclass(frozen=True, kw_only=True)
class RMSprop(_Optimizer):
    """s = rho*s + (1-rho)*g^2; w -= lr * g / (sqrt(s) + epsilon). s starts at 0, no centering, no momentum."""

    kind: ClassVar[str] = "rmsprop"
    slots: ClassVar[tuple[str, ...]] = ("square_average",)
    learning_rate: float = 0.01
    rho: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        _fraction("rho", self.rho)
        _positive("epsilon", self.epsilon)


@dataclass(frozen=True, kw_only=True)
class Adagrad(_Optimizer):
    """a = a + g^2; w -= lr * g / (sqrt(a) + epsilon). a starts at 0."""

    kind: ClassVar[str] = "adagrad"
    slots: ClassVar[tuple[str, ...]] = ("square_sum",)
    learning_rate: float = 0.01
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("epsilon", self.epsilon)


Optimizer = SGD | Adam | AdamW | Adadelta | RMSprop | Adagrad

OPTIMIZERS: dict[str, type] = {optimizer.kind: optimizer for optimizer in get_args(Optimizer)}
