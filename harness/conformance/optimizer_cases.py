"""Level 3: every update rule and option, on one network that has every kind of parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from harness.conformance.case import ConformanceCase, Observation, cast, described, draw_parameters, seeded
from specs.architecture import Architecture
from specs.layers import GRU, LSTM, BatchNorm2d, Conv2d, Flatten, Linear, Rows, Tanh
from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop
from specs.schedule import Exponential, learning_rates

# Convolution weight and bias, gamma, beta, linear weight and bias. The first convolution has no bias: in front of batch
# norm its gradient would be rounding alone, which Adam would blow up to whole steps. No kinks: nothing can flip.
NETWORK = Architecture(
    name="every_parameter",
    input=(6, 4, 4),
    classes=4,
    layers=(
        Conv2d(out_channels=3, kernel_size=(2, 2), bias=False),
        BatchNorm2d(),
        Conv2d(out_channels=3, kernel_size=(2, 2)),
        Flatten(),
        Linear(out_features=4),
    ),
)

# For frameworks that lack float64 kernels of convolution or batch norm: the rules themselves in float64.
LINEAR_NETWORK = Architecture(
    name="linear_layers",
    input=NETWORK.input,
    classes=4,
    layers=(Flatten(), Linear(out_features=5), Tanh(), Linear(out_features=4)),
)

# Of two biases where one is meant, both trained, the sum moves twice as fast: a step after another shows it.
RECURRENT_NETWORK = Architecture(
    name="recurrent_layers",
    input=NETWORK.input,
    classes=4,
    layers=(Rows(), LSTM(hidden=5, return_sequences=True), GRU(hidden=5), Linear(out_features=4)),
)

# The scale of each input channel is the scale of the gradients of the first convolution's weights on it, for as long as
# training lasts: from gradients above 1 over tiny ones to exact zeros.
CHANNEL_SCALES = np.array([3.0, 1.0, 1e-2, 1e-4, 1e-7, 0.0], np.float32)

SAMPLES = 40
BATCH = 8

OPTIMIZERS: tuple[Optimizer, ...] = (
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    SGD(weight_decay=0.05),
    SGD(momentum=0.8, weight_decay=0.05),
    SGD(momentum=0.8, nesterov=True, weight_decay=0.05),
    SGD(clip_norm=1.5),
    SGD(momentum=0.8, nesterov=True, weight_decay=0.05, decay="weights", clip_norm=1.5),
    Adam(),
    Adam(beta1=0.8, beta2=0.95),
    Adam(weight_decay=0.05),
    Adam(weight_decay=0.05, decay="weights", clip_norm=1.5),
    AdamW(),
    AdamW(weight_decay=0.2, beta1=0.8),
    AdamW(weight_decay=0.2, beta1=0.8, decay="weights", clip_norm=1.5),
    Adadelta(),
    Adadelta(rho=0.95, weight_decay=0.05),
    Adadelta(rho=0.95, weight_decay=0.05, decay="weights", clip_norm=1.5),
    RMSprop(),
    RMSprop(rho=0.9, weight_decay=0.05),
    RMSprop(rho=0.9, weight_decay=0.05, decay="weights", clip_norm=1.5),
    Adagrad(),
    Adagrad(weight_decay=0.05),
    Adagrad(weight_decay=0.05, decay="weights", clip_norm=1.5),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class OptimizerCase:
    """Steps with a rate each, in two calls of different batch sizes; then the second taken back and repeated.

    ``order`` int64[K, batch], ``learning_rates`` float64[K]. The last batch is smaller and a call of its own.
    """

    name: str
    optimizer: Optimizer
    order: NDArray[np.int64]
    learning_rates: NDArray[np.float64]
    quantity: str
    architecture: Architecture = NETWORK

    def spec(self, precision: str) -> SessionSpec:
        """A session with the optimizer of the case; one that clips smooths its labels too."""
        return SessionSpec(
            architecture=self.architecture,
            optimizer=self.optimizer,
            label_smoothing=0.1 if self.optimizer.clip_norm else 0.0,
            precision=precision,
        )

    @property
    def yardsticks(self) -> tuple[ConformanceCase, ...]:
        """This case."""
        return (self,)

    def observe(self, session: Session, dtype: np.dtype[Any]) -> Observation:
        """Quantities: the case's own (parameters after the steps), losses, step count, state, resumed.

        "resumed" are the parameters after the last call is taken back by loading parameters and optimizer state of
        before it, and then repeated.
        """
        images, labels, parameters = problem(self.architecture)
        session.set_training_data(images.astype(dtype), labels)
        session.load_parameters(cast(parameters, dtype))
        session.compile(self.order.shape[1], len(self.order) - 1)
        first, last = slice(0, len(self.order) - 1), slice(len(self.order) - 1, None)
        losses = [session.train_steps(self.order[first], self.learning_rates[first])]
        before, state_before = session.parameters(), session.optimizer_state()
        partial = self.order[last, : BATCH // 2 + 1]
        losses.append(session.train_steps(partial, self.learning_rates[last]))
        after, state = session.parameters(), session.optimizer_state()
        step = state.pop("step")
        session.load_parameters(before)
        session.load_optimizer_state(state_before)
        session.train_steps(partial, self.learning_rates[last])
        return {
            self.quantity: after,
            "losses": {"losses": np.concatenate(losses).astype(dtype)},
            "step count": {"step": step},
            "state": state,
            "resumed": session.parameters(),
        }


def options(kind: str, *, every: bool) -> tuple[Optimizer, ...]:
    """The cases' optimizers of a kind; the last one alone, which has most options set, unless ``every`` is wanted."""
    found = tuple(optimizer for optimizer in OPTIMIZERS if optimizer.kind == kind)
    return found if every else found[-1:]


@cache
def problem(architecture: Architecture) -> tuple[NDArray[np.float32], NDArray[np.int64], Arrays]:
    """Images float32[SAMPLES, 6, 4, 4], labels int64[SAMPLES] and initial parameters."""
    generator = seeded("optimizers")
    images = generator.standard_normal((SAMPLES, *NETWORK.input), dtype=np.float32)
    labels = generator.integers(NETWORK.classes, size=SAMPLES)
    return images * CHANNEL_SCALES[:, None, None], labels, draw_parameters(architecture, generator)


def probe(optimizer: Optimizer, architecture: Architecture = NETWORK) -> OptimizerCase:
    """Four steps that tell the known variants of a rule apart: a rate that changes on the way, epsilon 0.1."""
    if not isinstance(optimizer, SGD):
        optimizer = replace(optimizer, epsilon=0.1)
    return _case("probe", optimizer, architecture, rates=(0.1, 0.1, 0.01, 0.01))


def fifty_steps(optimizer: Optimizer) -> OptimizerCase:
    """Fifty steps at the rule's own epsilon, its learning rate halved twice on the way; gradients from 1 to zeros."""
    rates = learning_rates(Exponential(gamma=0.5), base=optimizer.learning_rate, epochs=2, steps_per_epoch=25)
    return _case("50 steps", optimizer, NETWORK, rates=rates)


def _case(
    quantity: str, optimizer: Optimizer, architecture: Architecture, *, rates: Sequence[float] | NDArray[np.float64]
) -> OptimizerCase:
    return OptimizerCase(
        name=f"{described(optimizer)}, {quantity}, {architecture.name}",
        optimizer=optimizer,
        architecture=architecture,
        order=seeded(quantity).integers(SAMPLES, size=(len(rates), BATCH)),
        learning_rates=np.array(rates),
        quantity=quantity,
    )
