"""Training and prediction of one network as Keras's guide "Writing a training loop in TensorFlow" does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.keras.network import Network
from backends.keras.optimizers import MakeOptimizer, add_weight_decay, keras_optimizer, slot_variables

# Samples predicted at once, which bounds the memory of what they activate.
_PREDICT_BATCH = 256


class KerasSession(Session):
    """A Keras model and a Keras optimizer on one device.

    In manner "default" every step is the call of a ``tf.function`` on a batch from the host; in "recommended" the
    training data lie on the device, and the steps of a call are one ``tf.function``, as with Keras's
    ``steps_per_execution``. A function is traced once per batch size.
    """

    def __init__(
        self,
        spec: SessionSpec,
        device: str,
        *,
        network: type[Network] = Network,
        optimizer: MakeOptimizer = keras_optimizer,
    ) -> None:
        """``device`` is TensorFlow's name of it; ``network`` and ``optimizer`` are for the session in expert/."""
        self._spec = spec
        self._device = device
        with tf.device(device):
            self._network = network(spec.architecture, precision=spec.precision, seed=spec.seed)
            self._trained = {weight.name: weight for weight in self._network.trained}
            self._variables = [weight.variable for weight in self._trained.values()]
            self._rate = keras.Variable(0.0, dtype=spec.dtype.name, trainable=False)
            self._decays = [spec.optimizer.weight_decay_of(name) for name in self._trained]
            self._optimizer = optimizer(spec.optimizer, lambda: tf.convert_to_tensor(self._rate), self._decays)
            self._optimizer.build(self._variables)
        self._slots = slot_variables(self._optimizer, list(self._trained), spec.optimizer.slots)
        self._cross_entropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=spec.label_smoothing, dtype=spec.dtype.name
        )
        self._sparse_cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=spec.dtype.name)
        self._functions: dict[Any, Callable[..., Any]] = {}
        if device.startswith("GPU"):
            tf.config.experimental.reset_memory_stats(device)

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data, images float[N, C, H, W] and labels int64[N]: to the device but in "default"."""
        self._images, self._labels = self._native_images(images), np.array(labels, np.int64)
        if self._spec.tuning != "default":
            self._images, self._labels = self._tensor(self._images), self._tensor(self._labels)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """Losses float64[K] of K steps on int64[K, batch], at rates float64[K], masks bool[K, batch, *shape]."""
        rates = np.asarray(learning_rates, self._spec.dtype)
        masks = self._native_masks(dropout_masks, batch_indices.shape)
        if self._spec.tuning == "default":
            losses = []
            for k, (batch, rate) in enumerate(zip(batch_indices, rates, strict=True)):
                kept = {name: mask[k] for name, mask in masks.items()}
                losses.append(self._run(self._train_step, self._images[batch], self._labels[batch], rate, kept))
        else:
            steps = np.asarray(batch_indices, np.int64), rates, masks
            losses = self._run(self._train_steps, self._images, self._labels, *steps, free=True)
        return np.asarray(losses, np.float64)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W], in parts of bounded size."""
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
        """The loss and gradients by name, for images float[n, C, H, W], labels int64[n], masks bool[n, *shape]."""
        masks = self._native_masks(dropout_masks, (len(images),))
        batch = self._native_images(images), np.asarray(labels, np.int64), masks
        loss, on_images, gradients = self._run(self._differentiate_all, *batch)
        named = zip(self._trained.values(), gradients, strict=True)
        arrays = {weight.name: weight.canonical(gradient) for weight, gradient in named}
        return float(loss), {**arrays, "input": np.ascontiguousarray(on_images.numpy().transpose(0, 3, 1, 2))}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, float arrays by canonical name."""
        return {name: weight.canonical(weight.variable) for name, weight in self._network.weights.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Assign parameters and buffers in place. Raises KeyError or ValueError for a wrong name or shape."""
        weights = self._network.weights
        check_names({name: weight.shape for name, weight in weights.items()}, parameters)
        for name, weight in weights.items():
            weight.variable.assign(weight.native(np.asarray(parameters[name], self._spec.dtype)))

    def optimizer_state(self) -> Arrays:
        """Copies of "step", int64 scalar, and of every "<parameter>.<slot>", shaped like the parameter."""
        slots = {name: self._trained[weight].canonical(variable) for name, (weight, variable) in self._slots.items()}
        return {"step": np.array(self._optimizer.iterations, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Assign step and slots in place. Raises KeyError or ValueError for a wrong name or shape."""
        shapes = {name: self._trained[weight].shape for name, (weight, _) in self._slots.items()}
        check_names({"step": (), **shapes}, state)
        for name, (weight, variable) in self._slots.items():
            variable.assign(self._trained[weight].native(np.asarray(state[name], self._spec.dtype)))
        self._optimizer.iterations.assign(int(state["step"]))

    def save(self, directory: Path) -> list[Path]:
        """model.keras; architecture.json with model.weights.h5; the optimizer as a ``tf.train.Checkpoint``.

        Keras loads its files without this project, but where a class token or position embedding is (they are in
        ``backends.keras.tokens``). The model takes images [n, height, width, channels] and gives logits. The checkpoint
        holds "step" and "slots", a dict of variables under canonical names.
        """
        directory.mkdir(parents=True, exist_ok=True)
        files = [directory / name for name in ("model.keras", "architecture.json", "model.weights.h5")]
        model = self._network.model
        model.save(files[0])
        files[1].write_text(model.to_json(), encoding="utf-8")
        model.save_weights(files[2])
        slots = {name: variable.value for name, (_, variable) in self._slots.items()}
        step = tf.Variable(int(self._optimizer.iterations), dtype=tf.int64)
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
        """What was done beyond the defaults, a phrase each."""
        if self._spec.tuning == "default":
            return ()
        return ("training data placed on the device once", "the steps of a call in one tf.function")

    def close(self) -> None:
        """Drop the functions, which hold the variables."""
        self._functions.clear()

    def _train_steps(self, images: Any, labels: Any, batch_indices: Any, rates: Any, dropout_masks: Any) -> Any:
        """The losses of as many steps as ``batch_indices`` has rows."""
        count = tf.shape(batch_indices)[0]

        def step(k: Any, losses: Any) -> Any:
            batch = tf.gather(images, batch_indices[k]), tf.gather(labels, batch_indices[k])
            masks = {name: mask[k] for name, mask in dropout_masks.items()}
            return k + 1, losses.write(k, self._train_step(*batch, rates[k], masks))

        start = (0, tf.TensorArray(self._spec.dtype, count))
        return tf.while_loop(lambda k, _: k < count, step, start, parallel_iterations=1)[1].stack()

    def _train_step(self, images: Any, labels: Any, rate: Any, dropout_masks: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = self._network(images, training=True, dropout_masks=dropout_masks)
            loss = self._loss(labels, logits)
        gradients = tape.gradient(loss, self._variables)
        self._rate.assign(rate)
        rule = self._spec.optimizer
        if rule.clip_norm:  # not by Keras's global_clipnorm, which would see the decay as well
            gradients, _ = tf.clip_by_global_norm(gradients, rule.clip_norm)
        self._optimizer.apply(add_weight_decay(rule, gradients, self._variables, self._decays), self._variables)
        return loss

    def _loss(self, labels: Any, logits: Any) -> Any:
        """Keras smooths one-hot labels alone."""
        if not self._spec.label_smoothing:
            return self._sparse_cross_entropy(labels, logits)
        return self._cross_entropy(tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), logits)

    def _differentiate_all(self, images: Any, labels: Any, dropout_masks: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = self._network(images, training=True, dropout_masks=dropout_masks)
            loss = self._loss(labels, logits)
        on_images, *gradients = tape.gradient(loss, [images, *self._variables])
        return loss, on_images, gradients

    def _predict(self, images: Any) -> Any:
        return self._network(images, training=False, dropout_masks={})

    def _run(self, function: Callable[..., Any], *arguments: Any, free: bool = False) -> Any:
        """Call ``function`` as a ``tf.function`` traced for these shapes; ``free`` leaves first axes' lengths open."""
        tensors = tf.nest.map_structure(self._tensor, arguments)
        first = 1 if free else 0
        key = (function, *(tuple(tensor.shape[first:]) for tensor in tf.nest.flatten(tensors)))
        if key not in self._functions:
            specs = tf.nest.map_structure(
                lambda tensor: tf.TensorSpec([None] * first + tensor.shape[first:], tensor.dtype), tensors
            )
            with tf.device(self._device):
                self._functions[key] = tf.function(function, autograph=False).get_concrete_function(*specs)
        return self._functions[key](*tensors)

    def _tensor(self, array: Any) -> Any:
        """The array on the session's device; tensors are left where they are."""
        if isinstance(array, tf.Tensor):
            return array
        with tf.device(self._device):
            return tf.constant(array)

    def _native_images(self, images: NDArray[Any]) -> NDArray[Any]:
        """A copy of float[n, C, H, W] as float[n, H, W, C] of the session's dtype."""
        return np.array(np.transpose(images, (0, 2, 3, 1)), self._spec.dtype, order="C")

    def _native_masks(
        self, dropout_masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]
    ) -> dict[str, NDArray[np.bool_]]:
        """Masks of the canonical shape [*leading, *output_shape], channels moved last; none for None."""
        if dropout_masks is None:
            return {}
        shapes = self._network.dropouts
        check_names({name: (*leading, *shape) for name, shape in shapes.items()}, dropout_masks)
        return {
            name: np.asarray(np.moveaxis(dropout_masks[name], -3, -1) if len(shape) == 3 else dropout_masks[name], bool)
            for name, shape in shapes.items()
        }
