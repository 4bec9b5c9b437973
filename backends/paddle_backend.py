"""PaddlePaddle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Backend, Description, Session, SessionSpec, Unsupported, check_names
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.shapes import buffer_shapes, parameter_shapes

if TYPE_CHECKING:
    import paddle

Masks = Mapping[str, NDArray[np.bool_]]


class PaddleSession(Session):
    """A ``paddle.nn.Sequential`` with a ``paddle.optimizer``."""

    def __init__(self, spec: SessionSpec, place: str) -> None:
        """``place`` is Paddle's name of the device: "cpu" or "gpu:N"."""
        import paddle

        from backends import _paddle_network, _paddle_optimizers

        self._paddle = paddle
        self._place = place
        self._dtype = spec.dtype
        self._bfloat16 = spec.precision == "bfloat16"
        self._shapes = parameter_shapes(spec.architecture) | buffer_shapes(spec.architecture)
        self._forward = _paddle_network.forward
        paddle.device.set_device(place)
        paddle.seed(spec.seed)
        if place != "cpu":
            paddle.device.cuda.reset_max_memory_allocated(place)
        # Names as in a fresh process, so that a user's own copy of the network takes the saved optimizer state.
        with paddle.utils.unique_name.guard():
            self._network = _paddle_network.build(spec.architecture, self._dtype.name)
            self._parameters, self._buffers = _paddle_network.entries(self._network, spec.architecture)
            tensors = [entry.tensor for entry in self._parameters.values()]
            self._optimizer = _paddle_optimizers.create(spec.optimizer, tensors, self._dtype.name)
            self._state = _paddle_optimizers.State(spec.optimizer, self._optimizer, self._parameters)
        self._images: paddle.Tensor | None = None
        self._labels: paddle.Tensor | None = None

    def place(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data to the device."""
        self._images = self._tensor(images.astype(self._dtype, copy=False))
        self._labels = self._tensor(labels)

    def train_steps(
        self, order: NDArray[np.int64], learning_rates: NDArray[np.float64], *, masks: Masks | None = None
    ) -> NDArray[np.float64]:
        """As the contract says. Raises RuntimeError before ``place``."""
        if self._images is None or self._labels is None:
            raise RuntimeError("train_steps before place")
        paddle = self._paddle
        batches = self._tensor(order)
        losses = []
        for k, learning_rate in enumerate(learning_rates):
            self._optimizer.set_lr(float(learning_rate))
            step_masks = None if masks is None else {name: mask[k] for name, mask in masks.items()}
            images = paddle.gather(self._images, batches[k])
            loss = self._loss(images, paddle.gather(self._labels, batches[k]), step_masks)
            loss.backward()
            self._optimizer.step()
            self._optimizer.clear_grad()
            losses.append(loss.detach())
        self._state.step += len(losses)
        return paddle.stack(losses).numpy().astype(np.float64) if losses else np.empty(0)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        self._network.eval()
        with self._paddle.no_grad(), self._autocast():
            logits = self._forward(self._network, self._tensor(images.astype(self._dtype, copy=False)), None)
        return logits.astype(self._dtype.name).numpy()

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        x = self._tensor(images.astype(self._dtype, copy=False))
        x.stop_gradient = False
        loss = self._loss(x, self._tensor(labels), masks)
        loss.backward()
        gradients = {name: entry.canonical(entry.tensor.grad) for name, entry in self._parameters.items()}
        self._optimizer.clear_grad()
        return float(loss), {**gradients, "input": x.grad.numpy()}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, in network order, parameters first."""
        return {name: entry.canonical(entry.tensor) for name, entry in (self._parameters | self._buffers).items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says."""
        check_names(self._shapes, parameters)
        for name, entry in (self._parameters | self._buffers).items():
            entry.write(entry.tensor, parameters[name])

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

    def synchronize(self) -> None:
        """Wait for the GPU; on the CPU every operation has ended when its call returns."""
        if self._place != "cpu":
            self._paddle.device.synchronize(self._place)

    def peak_device_memory(self) -> int | None:
        """Paddle's allocator's peak in bytes on a GPU."""
        return None if self._place == "cpu" else int(self._paddle.device.cuda.max_memory_allocated(self._place))

    def _loss(self, images: paddle.Tensor, labels: paddle.Tensor, masks: Masks | None) -> paddle.Tensor:
        """Mean cross-entropy in training mode."""
        self._network.train()
        on_device = None if masks is None else {name: self._tensor(mask) for name, mask in masks.items()}
        with self._autocast():
            logits = self._forward(self._network, images, on_device)
        return self._paddle.nn.functional.cross_entropy(logits.astype(self._dtype.name), labels)

    def _autocast(self) -> Any:
        return self._paddle.amp.auto_cast(enable=self._bfloat16, dtype="bfloat16", level="O1")

    def _tensor(self, array: NDArray[Any]) -> paddle.Tensor:
        return self._paddle.to_tensor(np.ascontiguousarray(array), place=self._place)


class PaddleBackend(Backend):
    """PaddlePaddle on CPU and CUDA."""

    name = "paddle"

    def environment(self, *, architecture: Architecture | None, threads: int, tuning: bool) -> dict[str, str]:
        """Thread counts (Paddle sets OMP_NUM_THREADS to 1 unless told otherwise), and no TensorFloat-32 on GPUs."""
        return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "NVIDIA_TF32_OVERRIDE": "0"}

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
        if not re.fullmatch(r"cpu|cuda:\d+", device) or device not in devices:
            raise RequestError(f"paddle: no device {spec.device!r} here; it computes on {', '.join(devices)}")
        if spec.precision == "bfloat16" and device == "cpu":
            raise Unsupported("Paddle's automatic mixed precision runs on GPUs only, so there is no bfloat16 on a CPU")
        return PaddleSession(spec, device.replace("cuda", "gpu"))

    @staticmethod
    def _devices() -> tuple[str, ...]:
        import paddle

        count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
        return ("cpu", *(f"cuda:{index}" for index in range(count)))
