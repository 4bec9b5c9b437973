"""Update rules and training loops gone wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, SessionSpec
from backends.numpy.optimizers import clipped, update
from backends.numpy.session import NumpySession
from specs.layers import Dropout
from specs.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from specs.shapes import infer
from tests.conformance.planting import Array

# Update rules: what ``planting.stepping`` and ``planting.patched`` put in the place of the right ones.


def epsilon_inside(numerator: Array, square: Array, epsilon: float) -> Array:
    """The root of the sum."""
    result: Array = numerator / np.sqrt(square + epsilon)
    return result


def uncorrected_adam(optimizer: Adam, g: Array, state: Mapping[str, Array], _: int) -> Array:
    """Averages that start from 0 and are taken as they are."""
    m, s = _moments(optimizer, g, state)
    result: Array = m / (np.sqrt(s) + optimizer.epsilon)
    return result


def epsilon_hat_adam(optimizer: Adam, g: Array, state: Mapping[str, Array], step: int) -> Array:
    """Epsilon added before the second moment is corrected: the variant that Kingma & Ba give for speed."""
    m, s = _moments(optimizer, g, state)
    rate = np.sqrt(1 - optimizer.beta2**step) / (1 - optimizer.beta1**step)
    result: Array = rate * m / (np.sqrt(s) + optimizer.epsilon)
    return result


def _moments(optimizer: Adam, g: Array, state: Mapping[str, Array]) -> tuple[Array, Array]:
    m, s = state["first_moment"], state["second_moment"]
    m[...] = optimizer.beta1 * m + (1 - optimizer.beta1) * g
    s[...] = optimizer.beta2 * s + (1 - optimizer.beta2) * g * g
    return m, s


def dampened_sgd(optimizer: SGD, g: Array, state: Mapping[str, Array], _: int) -> Array:
    """The gradient scaled by 1 - momentum on its way into the buffer."""
    if not optimizer.momentum:
        return g
    v = state["velocity"]
    v[...] = optimizer.momentum * v + (1 - optimizer.momentum) * g
    return g + optimizer.momentum * v if optimizer.nesterov else v


def rate_in_buffer(
    optimizer: Optimizer,
    w: Array,
    g: Array,
    state: Mapping[str, Array],
    *,
    learning_rate: float,
    weight_decay: float,
    step: int,
) -> None:
    """v = momentum * v + lr * g; w -= v: the same only while the rate stays."""
    if not isinstance(optimizer, SGD) or not optimizer.momentum:
        update(optimizer, w, g, state, learning_rate=learning_rate, weight_decay=weight_decay, step=step)
        return
    g = learning_rate * (g + weight_decay * w)
    v = state["velocity"]
    v[...] = optimizer.momentum * v + g
    w -= g + optimizer.momentum * v if optimizer.nesterov else v


def coupled(optimizer: Optimizer) -> Optimizer:
    """AdamW's decay added to the gradient."""
    if not isinstance(optimizer, AdamW):
        return optimizer
    return Adam(
        learning_rate=optimizer.learning_rate,
        weight_decay=optimizer.weight_decay,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        epsilon=optimizer.epsilon,
    )


def clipped_one_by_one(gradients: dict[str, Array], most: float | None) -> dict[str, Array]:
    """Every array by its own norm."""
    return {name: clipped({name: gradient}, most)[name] for name, gradient in gradients.items()}


class ClippedAfterDecay(NumpySession):
    """Coupled weight decay is in the gradients whose norm is taken: what Keras's global_clipnorm would see."""

    def __init__(self, spec: SessionSpec) -> None:
        self._decays = spec.optimizer
        super().__init__(spec if isinstance(spec.optimizer, AdamW) else undecayed(spec))

    def _backpropagate(self, *arguments: Any, **keywords: Any) -> tuple[float, Arrays]:
        loss, gradients = super()._backpropagate(*arguments, **keywords)
        if not isinstance(self._decays, AdamW):
            for name, gradient in gradients.items():
                gradients[name] = gradient + self._decays.weight_decay_of(name) * self._values[name]
        return loss, gradients


def undecayed(spec: SessionSpec) -> SessionSpec:
    """A session without weight decay."""
    return replace(spec, optimizer=replace(spec.optimizer, weight_decay=0.0))


class MeanSquareFromOne(NumpySession):
    """RMSprop's average starts at 1."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        if isinstance(spec.optimizer, RMSprop):
            for state in self._slots.values():
                state["square_average"].fill(1)


class DecaySparesBatchNorm(NumpySession):
    """Weight decay for all parameters but those called gamma or beta: MindSpore's nn optimizers, unless told."""

    def _backpropagate(self, *arguments: Any, **keywords: Any) -> tuple[float, Arrays]:
        loss, gradients = super()._backpropagate(*arguments, **keywords)
        decay = self._spec.optimizer.weight_decay
        for name, gradient in gradients.items():
            if name.endswith((".gamma", ".beta")):
                gradients[name] = gradient - decay * self._values[name]
        return loss, gradients


class StepCountLost(NumpySession):
    """The optimizer's averages come back, the number of steps they stand for does not."""

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().load_optimizer_state({**state, "step": np.array(0)})


# Training loops.


class _StepByStep(NumpySession):
    """One step at a time, for mistakes that happen at each."""

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], *, dropout_masks: Any = None
    ) -> NDArray[np.float64]:
        losses = [
            self._one_step(
                batch_indices[k : k + 1],
                learning_rates[k : k + 1],
                dropout_masks and {n: m[k : k + 1] for n, m in dropout_masks.items()},
            )
            for k in range(len(batch_indices))
        ]
        return np.concatenate(losses)

    def _one_step(
        self, batch_indices: NDArray[np.int64], rate: NDArray[np.float64], dropout_masks: Any
    ) -> NDArray[np.float64]:
        return super().train_steps(batch_indices, rate, dropout_masks=dropout_masks)


class OneBiasNotTrained(_StepByStep):
    """The first bias is left out of what the optimizer was given."""

    def _one_step(
        self, batch_indices: NDArray[np.int64], rate: NDArray[np.float64], dropout_masks: Any
    ) -> NDArray[np.float64]:
        left_out = {name: self._values[name].copy() for name in [n for n in self._trained if n.endswith(".bias")][:1]}
        loss = super()._one_step(batch_indices, rate, dropout_masks)
        self._values.update(left_out)
        return loss


class TwoBiases(_StepByStep):
    """Beside each bias of a recurrent layer another one, trained as well; parameters are told without it."""

    _second: dict[str, Array]

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        super().load_parameters(parameters)
        recurrent = (n for n in self._trained if n.startswith(("lstm_", "gru_")) and n.endswith(".bias"))
        self._second = {name: np.zeros_like(self._values[name]) for name in recurrent}

    def _one_step(
        self, batch_indices: NDArray[np.int64], rate: NDArray[np.float64], dropout_masks: Any
    ) -> NDArray[np.float64]:
        first = {name: self._values[name] for name in self._second}
        both = {name: first[name] + self._second[name] for name in first}
        self._values.update({name: array.copy() for name, array in both.items()})
        loss = super()._one_step(batch_indices, rate, dropout_masks)
        for name, array in both.items():
            moved = self._values[name] - array
            self._values[name], self._second[name] = first[name] + moved, self._second[name] + moved
        return loss


class PartialBatchDropped(_StepByStep):
    """A batch smaller than the one before it is evaluated and not trained on."""

    _batch = 0

    def _one_step(
        self, batch_indices: NDArray[np.int64], rate: NDArray[np.float64], dropout_masks: Any
    ) -> NDArray[np.float64]:
        kept = self.parameters() if batch_indices.shape[1] < self._batch else {}
        self._batch = max(self._batch, batch_indices.shape[1])
        loss = super()._one_step(batch_indices, rate, dropout_masks)
        self._values.update(kept)
        return loss


class Shuffled(NumpySession):
    """The framework's own loader shuffles once more."""

    def train_steps(self, batch_indices: NDArray[np.int64], *arguments: Any, **keywords: Any) -> NDArray[np.float64]:
        shuffled = np.random.default_rng(0).permutation(batch_indices.reshape(-1)).reshape(batch_indices.shape)
        return super().train_steps(shuffled, *arguments, **keywords)


class DropoutInEvaluation(NumpySession):
    """predict in training mode."""

    def predict(self, images: Array) -> Array:
        *_, (_, last) = self._steps(images, training=True, dropout_masks=self._draw(len(images)))
        return last.output


class StaleEvaluation(NumpySession):
    """predict with the weights that were loaded, not with those that were trained."""

    _loaded: Arrays

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        super().load_parameters(parameters)
        self._loaded = self.parameters()

    def predict(self, images: Array) -> Array:
        trained, self._values = self._values, self._loaded
        try:
            return super().predict(images)
        finally:
            self._values = trained


class SameMaskEveryStep(NumpySession):
    """The generator seeded anew at each step."""

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        self._generator = np.random.default_rng(self._spec.seed)
        return super()._draw(batch)


class SameMasksEveryEpoch(NumpySession):
    """The generator seeded anew when data are handed over."""

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        super().set_training_data(images, labels)
        self._generator = np.random.default_rng(self._spec.seed)


class EqualMasks(NumpySession):
    """One mask for all dropout layers of a shape, as of layers that are seeded alike."""

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        of_shape: dict[tuple[int, ...], NDArray[np.bool_]] = {}
        return {name: of_shape.setdefault(mask.shape, mask) for name, mask in super()._draw(batch).items()}


class RepeatedFromTheNinth(NumpySession):
    """Random bits for eight samples, used again for those behind them."""

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        return _repeated(super()._draw(batch))


class RepeatedInTraining(NumpySession):
    """As above, in training alone."""

    _training = False

    def train_steps(self, *args: Any, **keywords: Any) -> NDArray[np.float64]:
        self._training = True
        try:
            return super().train_steps(*args, **keywords)
        finally:
            self._training = False

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        drawn = super()._draw(batch)
        return _repeated(drawn) if self._training else drawn


def _repeated(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    return {name: mask[np.arange(len(mask)) % 8] for name, mask in masks.items()}


class EightBits(NumpySession):
    """Every element kept or dropped by one random byte."""

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        return {
            node.name: self._generator.integers(0, 256, (batch, *node.output_shape)) >= round(256 * node.layer.p - 0.5)
            for node in infer(self._spec.architecture)
            if isinstance(node.layer, Dropout)
        }


class SeedIgnored(NumpySession):
    """Dropout from a generator that nobody seeded."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        self._generator = np.random.default_rng()


class SeedFixed(NumpySession):
    """Dropout seeded with a constant."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        self._generator = np.random.default_rng(0)


class RoundedWeights(NumpySession):
    """Weights stored in half precision."""

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        super().load_parameters({name: array.astype(np.float16) for name, array in parameters.items()})


class TenthOfTheRate(NumpySession):
    """A learning rate read from the wrong place."""

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], **keywords: Any
    ) -> NDArray[np.float64]:
        return super().train_steps(batch_indices, learning_rates / 10, **keywords)
