"""A network with its optimizer in PaddlePaddle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from specs.shapes import buffer_shapes, parameter_shapes


class PaddleSession(Session):
    """A ``paddle.nn.Sequential`` with a ``paddle.optimizer``, computed in eager mode or by static graphs."""

    def __init__(self, spec: SessionSpec, place: str) -> None:
        """``set_training_data`` is Paddle's name of the device: "cpu" or "gpu:N"."""
        import paddle

        from backends.paddle import eager, network, optimizers
        from backends.paddle.expert import static

        self._paddle = paddle
        self._spec = spec
        self._place = place
        self._shapes = parameter_shapes(spec.architecture) | buffer_shapes(spec.architecture)
        paddle.device.set_device(place)
        paddle.seed(spec.seed)
        if place != "cpu":
            paddle.device.cuda.reset_max_memory_allocated(place)
        # Names as in a fresh process, so that a user's own copy of the network takes the saved optimizer state.
        with paddle.utils.unique_name.guard():
            self._network = network.build(spec.architecture, spec.dtype.name)
            self._parameters, buffers = network.entries(self._network, spec.architecture)
            self._entries = self._parameters | buffers
            trained = [entry.tensor for entry in self._parameters.values()]
            self._optimizer = optimizers.create(spec.optimizer, trained, spec.dtype.name)
            self._state = optimizers.State(spec.optimizer, self._optimizer, self._parameters)
        self._engine: eager.EagerEngine | static.StaticEngine
        refusal = static.refusal(spec)
        if (spec.tuning == "expert") and refusal is None:
            held = [*(entry.tensor for entry in self._entries.values()), *self._state.tensors()]
            self._engine = static.StaticEngine(spec, held)
            self._tuning = static.TUNING
        else:
            self._engine = eager.EagerEngine(spec, place, self._network, self._optimizer)
            self._tuning = (f"eager mode: {refusal}",) if (spec.tuning == "expert") else ()
        self._placed = False

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data to the device."""
        self._engine.set_training_data(images, labels)
        self._placed = True

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """As the contract says. Raises RuntimeError before ``set_training_data``."""
        if not self._placed:
            raise RuntimeError("train_steps before set_training_data")
        if not len(batch_indices):
            return np.empty(0)
        losses = self._engine.train_steps(batch_indices, learning_rates, dropout_masks)
        self._state.step += len(batch_indices)
        return losses

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        return self._engine.predict(images)

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        loss, images_gradient, native = self._engine.loss_and_gradients(images, labels, dropout_masks)
        gradients = {name: entry.canonical(native[entry.tensor.name]) for name, entry in self._parameters.items()}
        return loss, {**gradients, "input": images_gradient}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, in network order, parameters first."""
        return {name: entry.canonical(entry.tensor.numpy()) for name, entry in self._entries.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says."""
        check_names(self._shapes, parameters)
        for name, entry in self._entries.items():
            entry.tensor.set_value(entry.native(parameters[name]))

    def optimizer_state(self) -> Arrays:
        """As the contract says."""
        return self._state.read()

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says. Raises like ``load_parameters``."""
        self._state.write(state)

    def save(self, directory: Path) -> list[Path]:
        """Write model.pdparams and model.pdopt, the state dicts that ``paddle.load`` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        contents = {"model.pdparams": self._network.state_dict(), "model.pdopt": self._optimizer.state_dict()}
        for file, state in contents.items():
            self._paddle.save(state, str(directory / file))
        return [directory / file for file in contents]

    def export(self, directory: Path) -> None:
        """An inference model of Paddle's own layers: the program and model.pdiparams."""
        from backends.paddle import export, network

        plain = network.build(self._spec.architecture, "float32")
        plain.set_state_dict(self._network.state_dict())
        export.write_inference_model(plain, self._spec.architecture.input, directory)

    def synchronize(self) -> None:
        """Wait for the GPU; on the CPU every operation has ended when its call returns."""
        if self._place != "cpu":
            self._paddle.device.synchronize(self._place)

    def peak_device_memory(self) -> int | None:
        """Paddle's allocator's peak in bytes on a GPU."""
        return None if self._place == "cpu" else int(self._paddle.device.cuda.max_memory_allocated(self._place))

    def tuning(self) -> tuple[str, ...]:
        """What the static graphs do; in eager mode, why there are none."""
        return self._tuning
