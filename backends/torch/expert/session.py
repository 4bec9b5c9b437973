"""PyTorch at its fastest here: the training pass written out on a CPU, captured as a CUDA graph on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backends.contract import Arrays, SessionSpec
from backends.rewrites import relu_after_max_pool
from backends.torch.expert.cuda_graph import Step, captured
from backends.torch.expert.network import arranged, blocked_length
from backends.torch.expert.passes import WrittenPass
from backends.torch.expert.updates import direct_update
from backends.torch.network import Masks, Part
from backends.torch.optimizers import clip, fast_kernel
from backends.torch.session import TorchSession, array
from specs.layers import ReLU
from specs.optimizers import Adadelta, Adam, RMSprop
from specs.shapes import infer


class ExpertSession(TorchSession):
    """The plain session with its training step replaced.

    On a CPU, but for bfloat16: forward and backward pass written out, in oneDNN's blocked layout where the
    convolutional part is a chain of what that has. On CUDA, but for float64 (not measured yet): a CUDA graph of the
    step. Everywhere: ReLU in place, and behind max pooling.
    """

    def __init__(self, spec: SessionSpec, device: torch.device) -> None:
        on_cpu = device.type == "cpu"
        self._arranged = relu_after_max_pool(infer(spec.architecture))
        self._written = on_cpu and spec.precision != "bfloat16"
        # A captured step reads its rate from device memory, which the fused kernels take in float32 alone.
        self._graph = not on_cpu and spec.precision != "float64"
        self._blocked = blocked_length(self._arranged) if self._written and spec.precision == "float32" else 0
        super().__init__(spec, device)
        if self._written:
            self._pass = WrittenPass(self._network, spec.label_smoothing)
            self._update = direct_update(spec.optimizer, self._optimizer, list(self._parameters.values()))
        self._captured: dict[int, Step] = {}
        self._gathered: dict[int, list[Tensor]] = {}  # by batch size: always in the same place, which is in the cache

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy images float[N, C, H, W] and labels int64[N] to the device; steps captured on earlier data go."""
        super().set_training_data(images, labels)
        self._captured.clear()
        self._gathered.clear()

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """Losses float64[K] of K steps on int64[K, batch], at rates float64[K], masks bool[K, batch, *shape]."""
        with self._mode():
            return super().train_steps(batch_indices, learning_rates, dropout_masks=dropout_masks)

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """The loss and gradients by name, for images float[n, C, H, W], labels int64[n], masks bool[n, *shape]."""
        if not self._written:
            return super().loss_and_gradients(images, labels, dropout_masks=dropout_masks)
        self._network.train()
        batch, targets = self._batch(images), self._tensor(labels, torch.int64)
        with self._mode():
            loss, gradients, of_input = self._pass(
                batch, targets, self._masks(dropout_masks, (len(images),)), of_input=True
            )
        named = dict(zip(self._parameters, gradients, strict=True)) | {"input": of_input}
        return loss.item(), {name: array(gradient) for name, gradient in named.items()}

    def tuning(self) -> tuple[str, ...]:
        """What is done beyond the recommended manner, and what that does."""
        done = {
            "forward and backward pass written out, no autograd graph": self._written,
            "convolutional part in oneDNN's blocked layout": bool(self._blocked),
            "ReLU in place, and after max pooling": any(isinstance(node.layer, ReLU) for node in self._nodes),
            "CUDA graph of the training step": self._graph,
        }
        return (*(name for name, applies in done.items() if applies), *super().tuning())

    def _channels_last(self) -> bool:
        return not self._blocked and super()._channels_last()

    def _parts(self) -> list[Part]:
        return arranged(self._arranged, blocked=self._blocked)

    def _optimizer_options(self) -> dict[str, Any]:
        """On CUDA able to be captured: the rate in device memory, and the count of steps where the rule has one."""
        options: dict[str, Any] = fast_kernel(self._spec.optimizer)
        if self._graph:
            options["lr"] = torch.zeros((), device=self._device)
            if isinstance(self._spec.optimizer, Adam | Adadelta | RMSprop):
                options["capturable"] = True
        return options

    def _mode(self) -> AbstractContextManager[Any]:
        return self._pass.mode() if self._written else nullcontext()

    def _step(self, indices: Tensor, dropout_masks: Masks) -> Tensor:
        if self._graph and not dropout_masks:
            return self._captured_step(len(indices))(indices, dropout_masks)
        if not self._written:
            return super()._step(indices, dropout_masks)
        loss, gradients, _ = self._pass(*self._batch_of(indices), dropout_masks)
        if self._spec.optimizer.clip_norm:
            clip(gradients, self._spec.optimizer.clip_norm)
        self._update(gradients)
        return loss

    def _batch_of(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images float[n, C, H, W] and labels int64[n] of these samples, until the next step."""
        size = len(indices)
        if size not in self._gathered:
            self._gathered[size] = [data.new_empty((size, *data.shape[1:])) for data in (self._images, self._labels)]
        images, labels = self._gathered[size]
        torch.index_select(self._images, 0, indices, out=images)
        torch.index_select(self._labels, 0, indices, out=labels)
        return images.contiguous(memory_format=self._layout), labels

    def _captured_step(self, batch: int) -> Step:
        if batch not in self._captured:
            self._captured[batch] = captured(super()._step, batch, network=self._network, optimizer=self._optimizer)
        return self._captured[batch]
