"""PaddlePaddle."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Backend, Description, Predictor, Session, SessionSpec, Unsupported, check_names
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.shapes import buffer_shapes, parameter_shapes


class PaddleSession(Session):
    """A ``paddle.nn.Sequential`` with a ``paddle.optimizer``, computed in eager mode or by static graphs."""

    def __init__(self, spec: SessionSpec, place: str) -> None:
        """``place`` is Paddle's name of the device: "cpu" or "gpu:N"."""
        import paddle

        from backends import _paddle_eager, _paddle_network, _paddle_optimizers, _paddle_static

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
            self._network = _paddle_network.build(spec.architecture, spec.dtype.name)
            self._parameters, buffers = _paddle_network.entries(self._network, spec.architecture)
            self._entries = self._parameters | buffers
            trained = [entry.tensor for entry in self._parameters.values()]
            self._optimizer = _paddle_optimizers.create(spec.optimizer, trained, spec.dtype.name)
            self._state = _paddle_optimizers.State(spec.optimizer, self._optimizer, self._parameters)
        self._engine: _paddle_eager.EagerEngine | _paddle_static.StaticEngine
        refusal = _paddle_static.refusal(spec)
        if spec.tuning and refusal is None:
            held = [*(entry.tensor for entry in self._entries.values()), *self._state.tensors()]
            self._engine = _paddle_static.StaticEngine(spec, held)
            self._tuning = _paddle_static.TUNING
        else:
            self._engine = _paddle_eager.EagerEngine(spec, place, self._network, self._optimizer)
            self._tuning = (f"eager mode: {refusal}",) if spec.tuning else ()
        self._placed = False

    def place(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data to the device."""
        self._engine.place(images, labels)
        self._placed = True

    def train_steps(
        self,
        order: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """As the contract says. Raises RuntimeError before ``place``."""
        if not self._placed:
            raise RuntimeError("train_steps before place")
        if not len(order):
            return np.empty(0)
        losses = self._engine.train_steps(order, learning_rates, masks)
        self._state.step += len(order)
        return losses

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        return self._engine.predict(images)

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        loss, images_gradient, native = self._engine.loss_and_gradients(images, labels, masks)
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
        from backends import _paddle_export, _paddle_network

        plain = _paddle_network.build(self._spec.architecture, "float32")
        plain.set_state_dict(self._network.state_dict())
        _paddle_export.write_inference_model(plain, self._spec.architecture.input, directory)

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


class PaddleBackend(Backend):
    """PaddlePaddle on CPU and CUDA."""

    name = "paddle"
    export_format = "paddle-static"

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: bool) -> dict[str, str]:
        """Thread counts (Paddle sets OMP_NUM_THREADS to 1 unless told otherwise), and no TensorFloat-32 on GPUs.

        With tuning, the older graph is Paddle's default from the start, which spares every call a switch.
        """
        variables = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "NVIDIA_TF32_OVERRIDE": "0"}
        return variables | ({"FLAGS_enable_pir_api": "0"} if tuning else {})

    def load(self, *, threads: int) -> None:
        """Import Paddle; its threads come from ``environment``, which it reads at import."""
        import paddle

        paddle.disable_signal_handler()

    def describe(self) -> Description:
        """Paddle's version, the GPUs it sees and how it was built."""
        import paddle

        cuda = paddle.device.is_compiled_with_cuda()
        package = "paddlepaddle-gpu" if cuda else "paddlepaddle"
        return Description(
            framework_version=paddle.__version__,
            devices=self._devices(),
            precisions=("float32", "float64", "bfloat16") if cuda else ("float32", "float64"),
            packages={package: version(package), "numpy": np.__version__},
            build=f"commit {paddle.version.commit[:10]}, cuda {paddle.version.cuda()}",
        )

    def open(self, spec: SessionSpec) -> PaddleSession:
        """A session. Raises RequestError for a device that is not there, Unsupported for bfloat16 on a CPU."""
        device = "cuda:0" if spec.device == "cuda" else spec.device
        devices = self._devices()
        if device not in devices:
            raise RequestError(f"paddle: no device {spec.device!r} here; it computes on {', '.join(devices)}")
        if spec.precision == "bfloat16" and device == "cpu":
            raise Unsupported("Paddle's automatic mixed precision runs on GPUs only, so there is no bfloat16 on a CPU")
        return PaddleSession(spec, device.replace("cuda", "gpu"))

    def open_exported(self, directory: Path, *, threads: int) -> Predictor:
        """A model of ``paddle.jit.save``, run by ``paddle.inference``."""
        from backends._paddle_export import InferenceModel

        return InferenceModel(directory, threads=threads)

    @staticmethod
    def _devices() -> tuple[str, ...]:
        import paddle

        count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
        return ("cpu", *(f"cuda:{index}" for index in range(count)))
