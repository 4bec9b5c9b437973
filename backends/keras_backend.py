"""Keras 3 on TensorFlow."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import PRECISIONS, Arrays, Backend, Description, Session, SessionSpec, Unsupported, check_names
from specs.architecture import Architecture
from specs.errors import RequestError


class KerasBackend(Backend):
    """Keras 3.15 on TensorFlow 2.21, CPU and CUDA.

    Precisions: float32; float64; bfloat16 as Keras means by "mixed_bfloat16" (layers compute in bfloat16, variables,
    gradients of variables, batch norm and loss are float32).
    """

    name = "keras"

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: bool) -> dict[str, str]:
        """Log level, backend and thread counts; nothing here changes what is computed or how fast."""
        return {
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }

    def load(self, *, threads: int) -> None:
        """Import Keras and TensorFlow; TF32 is switched off, GPU memory grows with need."""
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        import keras

        if keras.backend.backend() != "tensorflow":
            raise Unsupported(
                f"Keras runs on {keras.backend.backend()}; start the worker with KERAS_BACKEND=tensorflow"
            )

    def describe(self) -> Description:
        """Keras's version; TensorFlow's is among the packages."""
        import keras
        import tensorflow as tf

        packages = {name: version for name in _PACKAGES if (version := _version(name))}
        gpus = len(tf.config.list_physical_devices("GPU"))
        build = ", ".join(f"{key}={value}" for key, value in sorted(tf.sysconfig.get_build_info().items()))
        return Description(
            framework_version=keras.__version__,
            devices=("cpu", *(f"cuda:{n}" for n in range(gpus))),
            precisions=PRECISIONS,
            packages=packages,
            build=build,
        )

    def open(self, spec: SessionSpec) -> Session:
        """A session on ``spec.device``."""
        if spec.precision not in PRECISIONS:
            raise Unsupported(f"keras has no precision {spec.precision!r}; it has {', '.join(PRECISIONS)}")
        return KerasSession(spec, self._device(spec.device))

    def _device(self, device: str) -> str:
        """TensorFlow's name of a device of the contract."""
        devices = self.describe().devices
        wanted = "cuda:0" if device == "cuda" else device
        if wanted not in devices:
            raise RequestError(f"device {device!r} is not there; TensorFlow has {', '.join(devices)}")
        return wanted.replace("cuda", "GPU") if wanted != "cpu" else "CPU:0"


_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "numpy", "h5py")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


class KerasSession(Session):
    """A Keras model and TensorFlow variables for the optimizer's state; a step is one call of a traced function."""

    def __init__(self, spec: SessionSpec, device: str) -> None:
        import tensorflow as tf

        from backends._keras_network import Network
        from backends._keras_optimizers import Update

        self._tf = tf
        self._spec = spec
        self._device = device
        with tf.device(device):
            self._network = Network(spec.architecture, precision=spec.precision, seed=spec.seed, fused=spec.tuning)
            self._trained = [weight.variable for weight in self._network.trained]
            self._update = Update(spec.optimizer, self._trained, fused=spec.tuning)
        self._steps = 0
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        if device.startswith("GPU"):
            tf.config.experimental.reset_memory_stats(device)

    def place(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        self._images = self._native_images(images)
        self._labels = self._tensor(labels, np.int64)

    def train_steps(
        self,
        order: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        from backends._keras_optimizers import coefficients

        rows = coefficients(self._spec.optimizer, self._steps, np.asarray(learning_rates, np.float64))
        kept = self._native_masks(masks, order.shape)
        losses = []
        for k, (indices, row) in enumerate(zip(order, rows.astype(self._spec.dtype), strict=True)):
            step_masks = {name: self._tensor(mask[k], bool) for name, mask in kept.items()}
            tensors = self._tensor(indices, np.int64), self._tensor(row)
            losses.append(self._call(self._traced_step, self._images, self._labels, *tensors, step_masks))
        self._steps += len(losses)
        return self._tf.stack(losses).numpy().astype(np.float64) if losses else np.empty(0)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        chunks = [
            self._call(self._traced_logits, self._native_images(images[start : start + _PREDICT_BATCH])).numpy()
            for start in range(0, len(images), _PREDICT_BATCH)
        ]
        return np.concatenate(chunks)

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        kept = self._native_masks(masks, (len(images),))
        tensors = {name: self._tensor(mask, bool) for name, mask in kept.items()}
        loss, on_images, gradients = self._call(
            self._traced_gradients, self._native_images(images), self._tensor(labels, np.int64), tensors
        )
        arrays = {
            weight.name: weight.canonical(gradient.numpy())
            for weight, gradient in zip(self._network.trained, gradients, strict=True)
        }
        return float(loss), {**arrays, "input": np.ascontiguousarray(on_images.numpy().transpose(0, 3, 1, 2))}

    def parameters(self) -> Arrays:
        return {name: weight.canonical(weight.variable.numpy()) for name, weight in self._network.weights.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        weights = self._network.weights
        check_names({name: weight.shape for name, weight in weights.items()}, parameters)
        for name, weight in weights.items():
            weight.variable.assign(weight.native(np.asarray(parameters[name], self._spec.dtype)))

    def optimizer_state(self) -> Arrays:
        state: Arrays = {"step": np.array(self._steps, np.int64)}
        for weight, slots in zip(self._network.trained, self._update.slots, strict=True):
            state |= {f"{weight.name}.{slot}": weight.canonical(v.numpy()) for slot, v in slots.items()}
        return state

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        pairs = list(zip(self._network.trained, self._update.slots, strict=True))
        check_names({"step": ()} | {f"{w.name}.{slot}": w.shape for w, slots in pairs for slot in slots}, state)
        for weight, slots in pairs:
            for slot, variable in slots.items():
                variable.assign(weight.native(np.asarray(state[f"{weight.name}.{slot}"], self._spec.dtype)))
        self._steps = int(state["step"])

    def save(self, directory: Path) -> list[Path]:
        """model.keras; architecture.json with model.weights.h5; the optimizer as a tf.train.Checkpoint.

        The Keras files need nothing of this project to be loaded. The model takes images [n, height, width, channels]
        and gives logits.
        """
        directory.mkdir(parents=True, exist_ok=True)
        model = self._network.model
        model.save(directory / "model.keras")
        (directory / "architecture.json").write_text(model.to_json(), encoding="utf-8")
        model.save_weights(directory / "model.weights.h5")
        slots = {
            f"{weight.name}.{slot}": variable
            for weight, slots in zip(self._network.trained, self._update.slots, strict=True)
            for slot, variable in slots.items()
        }
        step = self._tf.Variable(self._steps, dtype=self._tf.int64)
        self._tf.train.Checkpoint(step=step, slots=slots).write(str(directory / "optimizer"))
        written = ("model.keras", "architecture.json", "model.weights.h5")
        return [*(directory / name for name in written), *sorted(directory.glob("optimizer.*"))]

    def synchronize(self) -> None:
        self._tf.test.experimental.sync_devices()

    def peak_device_memory(self) -> int | None:
        if not self._device.startswith("GPU"):
            return None
        return int(self._tf.config.experimental.get_memory_info(self._device)["peak"])

    def tuning(self) -> tuple[str, ...]:
        if not self._spec.tuning:
            return ()
        return (
            "convolution and linear layers with explicit padding and BiasAdd, which TensorFlow fuses",
            "TensorFlow's resource-apply kernels as optimizer",
        )

    def _traced_step(self, images: Any, labels: Any, indices: Any, c: Any, masks: Any) -> Any:
        tf = self._tf
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._trained)
            logits = self._network.forward(tf.gather(images, indices), training=True, masks=masks)
            loss = self._loss(tf.gather(labels, indices), logits)
        self._update.apply(tape.gradient(loss, self._trained), c)
        return loss

    def _traced_logits(self, images: Any) -> Any:
        return self._network.forward(images, training=False, masks={})

    def _traced_gradients(self, images: Any, labels: Any, masks: Any) -> Any:
        with self._tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([images, *self._trained])
            loss = self._loss(labels, self._network.forward(images, training=True, masks=masks))
        on_images, *gradients = tape.gradient(loss, [images, *self._trained])
        return loss, on_images, gradients

    def _call(self, traced: Callable[..., Any], *arguments: Any) -> Any:
        """Run the graph of one of the traced methods for arguments of these shapes, traced when first asked for."""
        key = (traced.__name__, *(tuple(tensor.shape) for tensor in self._tf.nest.flatten(arguments)))
        if key not in self._programs:
            function = self._tf.function(traced, autograph=False)
            self._programs[key] = function.get_concrete_function(*arguments)
        return self._programs[key](*arguments)

    def _loss(self, labels: Any, logits: Any) -> Any:
        losses = self._tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        return self._tf.reduce_mean(losses)

    def _tensor(self, array: NDArray[Any], dtype: Any = None) -> Any:
        with self._tf.device(self._device):
            return self._tf.constant(np.asarray(array, dtype or self._spec.dtype))

    def _native_images(self, images: NDArray[Any]) -> Any:
        return self._tensor(np.transpose(images, (0, 2, 3, 1)))

    def _native_masks(self, masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]) -> Arrays:
        """Masks of the canonical shape [*leading, *output_shape] with their channels last; none for None."""
        if masks is None:
            return {}
        check_names({s.name: (*leading, *s.output_shape) for s in self._network.dropouts}, masks)
        return {
            s.name: np.moveaxis(masks[s.name], -3, -1) if len(s.output_shape) == 3 else masks[s.name]
            for s in self._network.dropouts
        }


_PREDICT_BATCH = 256
