"""The reference session: NumPy, in float64 the judge of all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, chain, check_names
from backends.numpy.layers import Computed, cross_entropy, forward
from backends.numpy.optimizers import update
from specs.layers import Dropout, Layer
from specs.nodes import Node
from specs.shapes import buffer_shapes, parameter_shapes

# Samples predicted at once: the copied windows of a convolution take kernel-area times the memory of its input.
_PREDICT_BATCH = 256

Masks = Mapping[str, NDArray[np.bool_]]

Backpropagated = tuple[Node, Computed, NDArray[Any]]
"""A layer, what it computed, and the loss gradient of its output."""


class NumpySession(Session):
    """One network in NumPy arrays of the spec's precision, deterministic for a given seed and BLAS."""

    def __init__(self, spec: SessionSpec) -> None:
        self._spec = spec
        self._layers = chain(spec.architecture)
        self._trained = parameter_shapes(spec.architecture)
        self._shapes = self._trained | buffer_shapes(spec.architecture)
        self._values: Arrays = {name: np.zeros(shape, spec.dtype) for name, shape in self._shapes.items()}
        self._slots: dict[str, Arrays] = {
            name: {slot: np.zeros(shape, spec.dtype) for slot in spec.optimizer.slots}
            for name, shape in self._trained.items()
        }
        self._step = 0
        self._generator = np.random.default_rng(spec.seed)
        self._images: NDArray[Any] | None = None
        self._labels: NDArray[np.int64] | None = None

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Keep the training data; images of the session's dtype are not copied."""
        self._images, self._labels = np.asarray(images, self._spec.dtype), np.asarray(labels)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Masks | None = None,
    ) -> NDArray[np.float64]:
        """As the contract says. Raises RuntimeError before ``set_training_data``."""
        if self._images is None or self._labels is None:
            raise RuntimeError("train_steps before set_training_data")
        losses = np.empty(len(batch_indices), np.float64)
        for k, (batch, learning_rate) in enumerate(zip(batch_indices, learning_rates, strict=True)):
            step_masks = None if dropout_masks is None else {name: mask[k] for name, mask in dropout_masks.items()}
            computed = self._training_forward(self._images[batch], step_masks)
            losses[k], logits_gradient = cross_entropy(computed[-1].output, self._labels[batch])
            self._step += 1
            for name, gradient in self._parameter_gradients(self._backward(computed, logits_gradient)).items():
                update(
                    self._spec.optimizer,
                    self._values[name],
                    gradient,
                    self._slots[name],
                    learning_rate=float(learning_rate),
                    step=self._step,
                )
        return losses

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        logits = np.empty((len(images), self._spec.architecture.classes), self._spec.dtype)
        for start in range(0, len(images), _PREDICT_BATCH):
            part = slice(start, start + _PREDICT_BATCH)
            logits[part] = self._forward(images[part], training=False, dropout_masks={})[-1].output
        return logits

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        computed = self._training_forward(images, dropout_masks)
        loss, logits_gradient = cross_entropy(computed[-1].output, labels)
        backward = list(self._backward(computed, logits_gradient))
        _, first, output_gradient = backward[-1]
        return loss, {**self._parameter_gradients(backward), "input": first.input_gradient(output_gradient)}

    def activations(
        self, images: NDArray[Any], *, training: bool = False, dropout_masks: Masks | None = None
    ) -> Arrays:
        """Every layer's output under the layer's name, in network order, changing nothing in the session.

        In training mode batch norm uses the batch, and a network with dropout needs ``dropout_masks`` (as
        ``loss_and_gradients`` takes them), for the generator is left alone. Raises KeyError without them.
        """
        computed = self._forward(images, training=training, dropout_masks=dropout_masks or {})
        return {layer.name: step.output for layer, step in zip(self._layers, computed, strict=True)}

    def layer_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> Arrays:
        """The loss gradient of every layer's output under the layer's name, in network order, in training mode.

        Changes nothing in the session; ``dropout_masks`` as for ``activations``.
        """
        computed = self._forward(images, training=True, dropout_masks=dropout_masks or {})
        _, logits_gradient = cross_entropy(computed[-1].output, labels)
        gradients = {layer.name: gradient for layer, _, gradient in self._backward(computed, logits_gradient)}
        return dict(reversed(gradients.items()))

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, in network order, parameters first."""
        return {name: value.copy() for name, value in self._values.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says."""
        check_names(self._shapes, parameters)
        self._values = {name: np.array(parameters[name], self._spec.dtype) for name in self._shapes}

    def optimizer_state(self) -> Arrays:
        """As the contract says."""
        slots = {f"{name}.{slot}": a.copy() for name, state in self._slots.items() for slot, a in state.items()}
        return {"step": np.array(self._step, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says. Raises like ``load_parameters``."""
        check_names({name: array.shape for name, array in self.optimizer_state().items()}, state)
        self._step = int(state["step"])
        self._slots = {
            name: {slot: np.array(state[f"{name}.{slot}"], self._spec.dtype) for slot in slots}
            for name, slots in self._slots.items()
        }

    def save(self, directory: Path) -> list[Path]:
        """Write parameters.npz and optimizer.npz, each array under its canonical name; ``numpy.load`` reads them."""
        directory.mkdir(parents=True, exist_ok=True)
        contents: dict[str, dict[str, Any]] = {
            "parameters.npz": self.parameters(),
            "optimizer.npz": self.optimizer_state(),
        }
        for file, arrays in contents.items():
            np.savez(directory / file, **arrays)
        return [directory / file for file in contents]

    def synchronize(self) -> None:
        """NumPy computes in the calling thread: nothing is ever under way."""

    def _training_forward(self, images: NDArray[Any], dropout_masks: Masks | None) -> list[Computed]:
        """Forward in training mode: draws the masks not given and moves the running statistics."""
        computed = self._forward(
            images, training=True, dropout_masks=self._draw(len(images)) if dropout_masks is None else dropout_masks
        )
        for layer, step in zip(self._layers, computed, strict=True):
            self._values.update({f"{layer.name}.{part}": value for part, value in step.buffers.items()})
        return computed

    def _forward(self, images: NDArray[Any], *, training: bool, dropout_masks: Masks) -> list[Computed]:
        if training:
            check_names(self._mask_shapes(len(images)), dropout_masks)
        computed: list[Computed] = []
        x = np.asarray(images, self._spec.dtype)
        for layer in self._layers:
            names = layer.parameters | layer.buffers
            parts = {name.removeprefix(f"{layer.name}."): self._values[name] for name in names}
            mask = dropout_masks.get(layer.name) if training else None
            computed.append(forward(cast(Layer, layer.layer), x, parts, training=training, mask=mask))
            x = computed[-1].output
        return computed

    def _mask_shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        return {layer.name: (batch, *layer.output_shape) for layer in self._layers if isinstance(layer.layer, Dropout)}

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        """A mask per dropout layer from the session's generator, True (keep) with probability 1 - p."""
        return {
            shaped.name: self._generator.random((batch, *shaped.output_shape)) >= shaped.layer.p
            for shaped in self._layers
            if isinstance(shaped.layer, Dropout)
        }

    def _backward(self, computed: list[Computed], gradient: NDArray[Any]) -> Iterator[Backpropagated]:
        """From the last layer to the first."""
        for layer, step in zip(reversed(self._layers), reversed(computed), strict=True):
            yield layer, step, gradient
            if step is not computed[0]:
                gradient = step.input_gradient(gradient)

    def _parameter_gradients(self, backward: Iterable[Backpropagated]) -> Arrays:
        """Every trained parameter's gradient, in network order; goes no further down than the first of them."""
        gradients: Arrays = {}
        for layer, step, gradient in backward:
            gradients |= {f"{layer.name}.{part}": g for part, g in step.parameter_gradients(gradient).items()}
            if len(gradients) == len(self._trained):
                break
        return {name: gradients[name] for name in self._trained}
