"""The reference session: NumPy, in float64 the judge of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.numpy.computed import Computed
from backends.numpy.layers import cross_entropy
from backends.numpy.network import Masks, Network, Step
from backends.numpy.optimizers import clipped, update
from specs.nodes import Node
from specs.shapes import buffer_shapes, infer, parameter_shapes

# Samples predicted at once: the copied windows of a convolution take kernel-area times the memory of its input.
_PREDICT_BATCH = 256


class NumpySession(Session):
    """One network in NumPy arrays of the spec's precision, deterministic for a given seed and BLAS."""

    def __init__(self, spec: SessionSpec) -> None:
        self._spec = spec
        self._network = Network(infer(spec.architecture))
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
        """K steps, one after another. Raises RuntimeError before ``set_training_data``."""
        if self._images is None or self._labels is None:
            raise RuntimeError("train_steps before set_training_data")
        losses = np.empty(len(batch_indices), np.float64)
        for k, (batch, learning_rate) in enumerate(zip(batch_indices, learning_rates, strict=True)):
            step_masks = None if dropout_masks is None else {name: mask[k] for name, mask in dropout_masks.items()}
            losses[k], gradients = self._backpropagate(
                self._images[batch], self._labels[batch], step_masks, to_images=False
            )
            self._step += 1
            optimizer = self._spec.optimizer
            for name, gradient in clipped(gradients, optimizer.clip_norm).items():
                update(
                    optimizer,
                    self._values[name],
                    gradient,
                    self._slots[name],
                    learning_rate=float(learning_rate),
                    weight_decay=optimizer.weight_decay_of(name),
                    step=self._step,
                )
        return losses

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        logits = np.empty((len(images), self._spec.architecture.classes), self._spec.dtype)
        for start in range(0, len(images), _PREDICT_BATCH):
            part = slice(start, start + _PREDICT_BATCH)
            for _, step in self._steps(images[part], training=False, dropout_masks={}):
                last = step.output
            logits[part] = last
        return logits

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """Forward and backward in training mode; all gradients are of the session's dtype."""
        return self._backpropagate(images, labels, dropout_masks, to_images=True)

    def activations(
        self, images: NDArray[Any], *, training: bool = False, dropout_masks: Masks | None = None
    ) -> Arrays:
        """Every node's output under its name, in network order, changing nothing in the session.

        In training mode batch norm uses the batch, and a network with dropout needs ``dropout_masks`` (as
        ``loss_and_gradients`` takes them), for the generator is left alone. Raises KeyError without them.
        """
        steps = self._steps(images, training=training, dropout_masks=dropout_masks or {})
        return {node.name: step.output for node, step in steps}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, in network order, parameters first."""
        return {name: value.copy() for name, value in self._values.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters and buffers in, cast to the session's dtype. Raises KeyError or ValueError for a misfit."""
        check_names(self._shapes, parameters)
        self._values = {name: np.array(parameters[name], self._spec.dtype) for name in self._shapes}

    def optimizer_state(self) -> Arrays:
        """Copies of "step" (int64) and every slot in the session's dtype."""
        slots = {f"{name}.{slot}": a.copy() for name, state in self._slots.items() for slot, a in state.items()}
        return {"step": np.array(self._step, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy the state in, cast to the session's dtype. Raises like ``load_parameters``."""
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

    def _steps(self, images: NDArray[Any], *, training: bool, dropout_masks: Masks) -> Iterator[tuple[Node, Step]]:
        inputs = np.asarray(images, self._spec.dtype)
        return self._network.steps(self._values, inputs, training=training, dropout_masks=dropout_masks)

    def _draw(self, batch: int) -> dict[str, NDArray[np.bool_]]:
        return self._network.draw_masks(self._generator, batch)

    def _loss(self, logits: NDArray[Any], labels: NDArray[np.int64]) -> tuple[float, NDArray[Any]]:
        return cross_entropy(logits, labels, self._spec.label_smoothing)

    def _backpropagate(
        self, images: NDArray[Any], labels: NDArray[np.int64], dropout_masks: Masks | None, *, to_images: bool
    ) -> tuple[float, Arrays]:
        """Loss and gradients in training mode: draws the masks not given and moves the running statistics."""
        if dropout_masks is None:
            dropout_masks = self._draw(len(images))
        steps = list(self._steps(images, training=True, dropout_masks=dropout_masks))
        for node, step in steps:
            if isinstance(step, Computed):
                self._values.update({f"{node.name}.{part}": value for part, value in step.buffers.items()})
        loss, logits_gradient = self._loss(steps[-1][1].output, labels)
        return loss, self._network.gradients(steps, logits_gradient, to_images=to_images)
