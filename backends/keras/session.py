"""Training and prediction of one network in TensorFlow graphs. Imports TensorFlow: for ``keras_backend`` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.keras.network import Network
from backends.keras.optimizers import Update, coefficients

# Samples predicted at once, which bounds the memory of what they activate.
_PREDICT_BATCH = 256


class KerasSession(Session):
    """A Keras model, and TensorFlow variables for the optimizer's state, on one device.

    Tuned, the steps of a call are one ``tf.while_loop`` in one graph; as Keras comes (``train_on_batch``), each step is
    the call of a ``tf.function``. A graph is traced once per batch size.
    """

    def __init__(self, spec: SessionSpec, device: str) -> None:
        """``device`` is TensorFlow's name of it."""
        self._spec = spec
        self._device = device
        with tf.device(device):
            self._network = Network(
                spec.architecture, precision=spec.precision, seed=spec.seed, reorder=(spec.tuning == "expert")
            )
            self._variables = [weight.variable for weight in self._network.trained]
            self._update = Update(spec.optimizer, self._variables, fused=(spec.tuning == "expert"))
        self._steps = 0
        self._graphs: dict[Any, Callable[..., Any]] = {}
        if device.startswith("GPU"):
            tf.config.experimental.reset_memory_stats(device)

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data to the device."""
        self._images = self._native_images(images)
        self._labels = self._tensor(labels, np.int64)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """As the contract says."""
        rows = coefficients(self._spec.optimizer, self._steps, np.asarray(learning_rates, np.float64))
        steps = (
            self._tensor(batch_indices, np.int64),
            self._tensor(rows),
            self._native_masks(dropout_masks, batch_indices.shape),
        )
        self._steps += len(batch_indices)
        if self._spec.tuning == "expert":
            losses = self._run(self._train, self._images, self._labels, *steps, free=True)
        else:
            each = [tf.nest.map_structure(lambda tensor, k=k: tensor[k], steps) for k in range(len(batch_indices))]
            losses = tf.stack([self._run(self._train_step, self._images, self._labels, *step) for step in each])
        return np.asarray(losses, np.float64)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """As the contract says; runs in parts of bounded size."""
        parts = [images[start : start + _PREDICT_BATCH] for start in range(0, len(images), _PREDICT_BATCH)]
        logits = [self._run(self._predict, self._native_images(part), free=True).numpy() for part in parts]
        return np.concatenate(logits or [np.empty((0, self._spec.architecture.classes), self._spec.dtype)])

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        kept = self._native_masks(dropout_masks, (len(images),))
        batch = self._native_images(images), self._tensor(labels, np.int64), kept
        loss, on_images, gradients = self._run(self._differentiate_all, *batch)
        named = zip(self._network.trained, gradients, strict=True)
        arrays = {weight.name: weight.canonical(gradient.numpy()) for weight, gradient in named}
        return float(loss), {**arrays, "input": np.ascontiguousarray(on_images.numpy().transpose(0, 3, 1, 2))}

    def parameters(self) -> Arrays:
        """As the contract says."""
        return {name: weight.canonical(weight.variable.numpy()) for name, weight in self._network.weights.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says; assigns in place."""
        weights = self._network.weights
        check_names({name: weight.shape for name, weight in weights.items()}, parameters)
        for name, weight in weights.items():
            weight.variable.assign(weight.native(np.asarray(parameters[name], self._spec.dtype)))

    def optimizer_state(self) -> Arrays:
        """As the contract says."""
        slots = {name: weight.canonical(variable.numpy()) for name, (weight, variable) in self._slots().items()}
        return {"step": np.array(self._steps, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says; assigns in place."""
        slots = self._slots()
        check_names({"step": (), **{name: weight.shape for name, (weight, _) in slots.items()}}, state)
        for name, (weight, variable) in slots.items():
            variable.assign(weight.native(np.asarray(state[name], self._spec.dtype)))
        self._steps = int(state["step"])

    def save(self, directory: Path) -> list[Path]:
        """model.keras; architecture.json with model.weights.h5; the optimizer as a ``tf.train.Checkpoint``.

        Keras loads its files without anything of this project. The model takes images [n, height, width, channels] and
        gives logits. The checkpoint holds "step" and "slots", a dict of variables under canonical names.
        """
        directory.mkdir(parents=True, exist_ok=True)
        files = [directory / name for name in ("model.keras", "architecture.json", "model.weights.h5")]
        model = self._network.model
        model.save(files[0])
        files[1].write_text(model.to_json(), encoding="utf-8")
        model.save_weights(files[2])
        slots = {name: variable for name, (_, variable) in self._slots().items()}
        step = tf.Variable(self._steps, dtype=tf.int64)
        tf.train.Checkpoint(step=step, slots=slots).write(str(directory / "optimizer"))
        return [*files, *sorted(directory.glob("optimizer.*"))]

    def export(self, directory: Path) -> None:
        """A SavedModel whose endpoint ``serve`` takes float32[n, height, width, channels], Keras's own layout."""
        self._network.model.export(str(directory), verbose=False)

    def synchronize(self) -> None:
        """Return once the device has finished all work handed to it."""
        tf.test.experimental.sync_devices()

    def peak_device_memory(self) -> int | None:
        """The peak of TensorFlow's GPU allocator in bytes since the session opened; None on a CPU."""
        if not self._device.startswith("GPU"):
            return None
        return int(tf.config.experimental.get_memory_info(self._device)["peak"])

    def tuning(self) -> tuple[str, ...]:
        """As the contract says."""
        if self._spec.tuning != "expert":
            return ()
        done = ["the steps of a call in one graph"]
        if self._network.reordered:
            done.append("max pooling before the ReLU it commutes with")
        return (*done, *self._update.tuning())

    def close(self) -> None:
        """Drop the graphs, which hold the variables and the placed data."""
        self._graphs.clear()

    def _slots(self) -> dict[str, tuple[Any, tf.Variable]]:
        """Canonical name to parameter and variable of every slot of the optimizer."""
        pairs = zip(self._network.trained, self._update.slots, strict=True)
        return {
            f"{weight.name}.{slot}": (weight, variable) for weight, slots in pairs for slot, variable in slots.items()
        }

    def _train(self, images: Any, labels: Any, batch_indices: Any, rows: Any, dropout_masks: Any) -> Any:
        """The losses of as many steps as ``batch_indices`` has rows."""
        count = tf.shape(batch_indices)[0]

        def step(k: Any, losses: Any) -> Any:
            chosen = {name: mask[k] for name, mask in dropout_masks.items()}
            return k + 1, losses.write(k, self._train_step(images, labels, batch_indices[k], rows[k], chosen))

        start = (0, tf.TensorArray(self._spec.dtype, count))
        return tf.while_loop(lambda k, _: k < count, step, start, parallel_iterations=1)[1].stack()

    def _train_step(self, images: Any, labels: Any, indices: Any, row: Any, dropout_masks: Any) -> Any:
        batch = tf.gather(images, indices), tf.gather(labels, indices)
        loss, gradients = self._differentiate(*batch, dropout_masks, self._variables)
        self._update.apply(gradients, row)
        return loss

    def _differentiate_all(self, images: Any, labels: Any, dropout_masks: Any) -> Any:
        loss, (on_images, *gradients) = self._differentiate(images, labels, dropout_masks, [images, *self._variables])
        return loss, on_images, gradients

    def _differentiate(self, images: Any, labels: Any, dropout_masks: Any, sources: list[Any]) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            logits = self._network.forward(images, training=True, dropout_masks=dropout_masks)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        return loss, tape.gradient(loss, sources)

    def _predict(self, images: Any) -> Any:
        return self._network.forward(images, training=False, dropout_masks={})

    def _run(self, traced: Callable[..., Any], *arguments: Any, free: bool = False) -> Any:
        """The graph of ``traced`` for arguments of these shapes, run; ``free`` leaves the length of first axes open."""
        first = slice(1 if free else 0, None)
        key = (traced, *(tuple(tensor.shape[first]) for tensor in tf.nest.flatten(arguments)))
        if key not in self._graphs:
            specs = tf.nest.map_structure(
                lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]] if free else tensor.shape, tensor.dtype),
                arguments,
            )
            with tf.device(self._device):
                self._graphs[key] = tf.function(traced, autograph=False).get_concrete_function(*specs)
        return self._graphs[key](*arguments)

    def _tensor(self, array: NDArray[Any], dtype: Any = None) -> Any:
        with tf.device(self._device):
            return tf.constant(np.asarray(array, dtype or self._spec.dtype))

    def _native_images(self, images: NDArray[Any]) -> Any:
        return self._tensor(np.transpose(images, (0, 2, 3, 1)))

    def _native_masks(
        self, dropout_masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]
    ) -> dict[str, Any]:
        """Masks of the canonical shape [*leading, *output_shape], channels moved last; none for None."""
        if dropout_masks is None:
            return {}
        dropouts = self._network.dropouts
        check_names({shaped.name: (*leading, *shaped.output_shape) for shaped in dropouts}, dropout_masks)
        native = {
            s.name: np.moveaxis(dropout_masks[s.name], -3, -1) if len(s.output_shape) == 3 else dropout_masks[s.name]
            for s in dropouts
        }
        return {name: self._tensor(mask, np.bool_) for name, mask in native.items()}
