"""A network with its optimizer in PaddlePaddle, in dynamic graph mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.nn import functional

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.paddle import export, optimizers
from backends.paddle.network import Network

Masks = Mapping[str, NDArray[np.bool_]]


class PaddleSession(Session):
    """A ``paddle.nn.Layer`` with a ``paddle.optimizer``, as Paddle's guides train one."""

    def __init__(self, spec: SessionSpec, place: str, tuning: tuple[str, ...] = ()) -> None:
        """``place`` is Paddle's name of the device: "cpu" or "gpu:N"; ``tuning`` is what the session says was done."""
        self._spec = spec
        self._tuning = tuning
        self._place = place
        paddle.device.set_device(place)
        if place != "cpu":
            paddle.device.cuda.reset_max_memory_allocated(place)
        # Names as in a fresh process, so that a user's own copy of the network takes the saved optimizer state.
        with paddle.utils.unique_name.guard():
            self._network = Network(spec.architecture, spec.dtype.name)
            self._parameters, buffers = self._network.entries()
            self._entries = self._parameters | buffers
            trained = {entry.tensor.name: name for name, entry in self._parameters.items()}
            self._decays = {own: spec.optimizer.weight_decay_of(name) for own, name in trained.items()}
            tensors = [entry.tensor for entry in self._parameters.values()]
            for tensor in tensors:
                optimizers.mark_exempt(tensor, spec.optimizer, self._decays)
            self._optimizer = optimizers.create(spec.optimizer, tensors, spec.dtype.name, self._decays)
            self._state = optimizers.State(spec.optimizer, self._optimizer, self._parameters)
        paddle.seed(spec.seed)  # after the layers have drawn initial weights from the same generator
        self._images: paddle.Tensor | None = None
        self._labels: paddle.Tensor | None = None

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy images float[N, C, H, W] and labels int64[N] to the device."""
        self._images, self._labels = self._tensor(images), self._tensor(labels)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Masks | None = None,
    ) -> NDArray[np.float64]:
        """A step per row of int64[K, batch] at the rates float64[K]; the losses float64[K] before each update.

        Masks are bool[K, batch, ...]. Raises RuntimeError before ``set_training_data``.
        """
        if self._images is None or self._labels is None:
            raise RuntimeError("train_steps before set_training_data")
        self._network.train()
        logits_of_steps, labels_of_steps = [], []
        for k, (batch, rate) in enumerate(zip(batch_indices, learning_rates, strict=True)):
            masks = None if dropout_masks is None else {name: mask[k] for name, mask in dropout_masks.items()}
            indices = paddle.to_tensor(batch, place=self._place)
            images, labels = paddle.gather(self._images, indices), paddle.gather(self._labels, indices)
            logits, loss = self._loss(images, labels, self._kept(masks))
            self._optimizer.set_lr(float(rate))
            loss.backward()
            self._optimizer.step()
            self._optimizer.clear_grad()
            logits_of_steps.append(logits.detach())
            labels_of_steps.append(labels)
        self._state.step += len(batch_indices)
        if not logits_of_steps:
            return np.empty(0)
        logits_of_all, labels_of_all = paddle.stack(logits_of_steps).numpy(), paddle.stack(labels_of_steps).numpy()
        return mean_cross_entropy(logits_of_all, labels_of_all, self._spec.label_smoothing)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W] in evaluation mode."""
        self._network.eval()
        with paddle.no_grad(), self._autocast():
            logits = self._network(self._tensor(images))
        return np.array(logits.astype(self._spec.dtype.name).numpy())

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """The mean loss of images float[n, C, H, W] and labels int64[n], and its gradients by canonical name.

        Masks are bool[n, ...]. The gradient of the images is "input".
        """
        self._network.train()
        x = self._tensor(images)
        x.stop_gradient = False
        logits, loss = self._loss(x, self._tensor(labels), self._kept(dropout_masks))
        loss.backward()
        gradients = {name: entry.canonical(entry.tensor.grad.numpy()) for name, entry in self._parameters.items()}
        self._optimizer.clear_grad()
        (exact,) = mean_cross_entropy(logits.numpy()[None], labels[None], self._spec.label_smoothing)
        return float(exact), {**gradients, "input": np.array(x.grad.numpy())}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers in canonical layout, in network order, parameters first."""
        return {name: entry.canonical(entry.tensor.numpy()) for name, entry in self._entries.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Copy parameters and buffers in; raises KeyError for a wrong name, ValueError for a wrong shape."""
        check_names({name: entry.shape for name, entry in self._entries.items()}, parameters)
        for name, entry in self._entries.items():
            entry.tensor.set_value(entry.native(parameters[name]))

    def optimizer_state(self) -> Arrays:
        """Copies of "step" (int64 scalar) and "<parameter>.<slot>", canonical in layout and meaning."""
        return self._state.read()

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy what ``optimizer_state`` gave in; raises like ``load_parameters``."""
        self._state.write(state)

    def save(self, directory: Path) -> list[Path]:
        """Write model.pdparams and model.pdopt, the state dicts that ``paddle.load`` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        contents = {"model.pdparams": self._network.state_dict(), "model.pdopt": self._optimizer.state_dict()}
        for file, state in contents.items():
            paddle.save(state, str(directory / file))
        return [directory / file for file in contents]

    def export(self, directory: Path) -> None:
        """An inference model in float32: the program and model.pdiparams."""
        plain = Network(self._spec.architecture, "float32")
        plain.set_state_dict({name: t.astype("float32") for name, t in self._network.state_dict().items()})
        export.write_inference_model(plain, self._spec.architecture.input, directory)

    def synchronize(self) -> None:
        """Wait for the GPU; on the CPU every operation has ended when its call returns."""
        if self._place != "cpu":
            paddle.device.synchronize(self._place)

    def peak_device_memory(self) -> int | None:
        """Paddle's allocator's peak in bytes on a GPU."""
        return None if self._place == "cpu" else int(paddle.device.cuda.max_memory_allocated(self._place))

    def tuning(self) -> tuple[str, ...]:
        """What was done beyond Paddle's defaults."""
        return self._tuning

    def _loss(
        self, images: paddle.Tensor, labels: paddle.Tensor, kept: Mapping[str, paddle.Tensor] | None
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Logits float[n, classes], and the loss whose gradient is taken."""
        with self._autocast():
            logits = self._network(images, kept).astype(self._spec.dtype.name)
        return logits, self._cross_entropy(logits, labels)

    def _cross_entropy(self, logits: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
        smoothing = self._spec.label_smoothing
        if smoothing and self._spec.precision == "float64":  # which label_smoothing would take in float32
            hot = functional.one_hot(labels, self._spec.architecture.classes).astype("float64")
            return functional.cross_entropy(logits, hot * (1 - smoothing) + smoothing / hot.shape[1], soft_label=True)
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _kept(self, masks: Masks | None) -> dict[str, paddle.Tensor] | None:
        return None if masks is None else {name: self._tensor(mask) for name, mask in masks.items()}

    def _autocast(self) -> Any:
        return paddle.amp.auto_cast(enable=self._spec.precision == "bfloat16", dtype="bfloat16", level="O1")

    def _tensor(self, array: NDArray[Any]) -> paddle.Tensor:
        """Labels as they are, everything else in the session's dtype."""
        dtype = array.dtype if array.dtype == np.int64 else self._spec.dtype
        return paddle.to_tensor(np.ascontiguousarray(array, dtype), place=self._place)


def mean_cross_entropy(logits: NDArray[Any], labels: NDArray[np.int64], smoothing: float) -> NDArray[np.float64]:
    """The loss of every step from its logits float[K, batch, classes] and labels int64[K, batch].

    Paddle's cross_entropy keeps every log-probability above -64: its gradient is right, but the loss of a sample that
    the network gets badly wrong is cut off. Classes go first, so that sums over them run along vectors.
    """
    z = np.moveaxis(logits, 2, 0).copy()
    with np.errstate(invalid="ignore"):  # a diverging network's infinite logits: its loss is NaN
        z -= z.max(axis=0)
        chosen = np.take_along_axis(z, labels[None], axis=0)[0]
        if smoothing:
            chosen = (1 - smoothing) * chosen + smoothing * z.mean(axis=0)
        return (np.log(np.exp(z).sum(axis=0)) - chosen).mean(axis=1, dtype=np.float64)
