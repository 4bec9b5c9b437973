"""Paddle's eager mode, the framework's documented default: every operation runs as Python calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from backends.contract import Arrays, SessionSpec

Masks = Mapping[str, NDArray[np.bool_]]


class EagerEngine:
    """Computes with the network's own tensors on ``set_training_data``, Paddle's name of the device."""

    def __init__(self, spec: SessionSpec, place: str, network: nn.Sequential, optimizer: paddle.optimizer.Optimizer):
        self._place = place
        self._dtype = spec.dtype
        self._bfloat16 = spec.precision == "bfloat16"
        self._network = network
        self._optimizer = optimizer
        self._images: paddle.Tensor | None = None
        self._labels: paddle.Tensor | None = None

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy the training data to the device."""
        self._images = self._tensor(images.astype(self._dtype, copy=False))
        self._labels = self._tensor(labels)

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], dropout_masks: Masks | None
    ) -> NDArray[np.float64]:
        """As ``Session.train_steps``."""
        batches = self._tensor(batch_indices)
        losses = []
        for k, learning_rate in enumerate(learning_rates):
            self._optimizer.set_lr(float(learning_rate))
            step_masks = None if dropout_masks is None else {name: mask[k] for name, mask in dropout_masks.items()}
            images, labels = paddle.gather(self._images, batches[k]), paddle.gather(self._labels, batches[k])
            loss = self._loss(images, labels, step_masks)
            loss.backward()
            self._optimizer.step()
            self._optimizer.clear_grad()
            losses.append(loss.detach())
        return np.array(paddle.stack(losses).numpy(), np.float64)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """As ``Session.predict``."""
        self._network.eval()
        with paddle.no_grad(), self._autocast():
            logits = self._network(self._tensor(images.astype(self._dtype, copy=False)))
        return np.array(logits.astype(self._dtype.name).numpy())

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], dropout_masks: Masks | None
    ) -> tuple[float, NDArray[Any], Arrays]:
        """Loss, gradient of the images, and gradients by the names and in the layouts of Paddle's parameters."""
        x = self._tensor(images.astype(self._dtype, copy=False))
        x.stop_gradient = False
        loss = self._loss(x, self._tensor(labels), dropout_masks)
        loss.backward()
        trained = [parameter for parameter in self._network.parameters() if not parameter.stop_gradient]
        gradients = {parameter.name: np.array(parameter.grad.numpy()) for parameter in trained}
        self._optimizer.clear_grad()
        return float(loss), np.array(x.grad.numpy()), gradients

    def _loss(self, images: paddle.Tensor, labels: paddle.Tensor, dropout_masks: Masks | None) -> paddle.Tensor:
        """Mean cross-entropy in training mode."""
        self._network.train()
        with self._autocast():
            logits = self._network(images) if dropout_masks is None else self._masked(images, dropout_masks)
        return cross_entropy(logits.astype(self._dtype.name), labels)

    def _masked(self, x: paddle.Tensor, dropout_masks: Masks) -> paddle.Tensor:
        for name, layer in self._network.named_children():
            if isinstance(layer, nn.Dropout):
                x = x * self._tensor(dropout_masks[name]).astype(x.dtype) / (1 - layer.p)
            else:
                x = layer(x)
        return x

    def _autocast(self) -> Any:
        return paddle.amp.auto_cast(enable=self._bfloat16, dtype="bfloat16", level="O1")

    def _tensor(self, array: NDArray[Any]) -> paddle.Tensor:
        return paddle.to_tensor(np.ascontiguousarray(array), place=self._place)


def cross_entropy(logits: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
    """Mean softmax cross-entropy of logits float[n, classes], labels int64[n].

    Paddle's own, and its log-softmax, keep every log-probability above -64, which cuts off the loss of a sample that
    the network gets badly wrong.
    """
    highest = logits.max(1, keepdim=True)
    highest.stop_gradient = True
    shifted = logits - highest
    chosen = paddle.take_along_axis(shifted, labels.reshape([-1, 1]), 1)
    return (paddle.logsumexp(shifted, 1, keepdim=True) - chosen).mean()
