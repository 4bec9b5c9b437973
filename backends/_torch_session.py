"""A network with its optimizer in PyTorch, on a CPU or a CUDA device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from backends._torch_network import sequential, torch_name
from backends._torch_optimizer import SLOTS, set_rate, torch_optimizer
from backends.contract import Arrays, Session, SessionSpec, check_names
from specs.layers import Conv2d, Dropout
from specs.shapes import infer

Masks = dict[str, Tensor]
Step = Callable[[Tensor, Masks], Tensor]
"""Indices int64[batch] and the masks of one step to the loss before its update, a scalar still on the device."""


class TorchSession(Session):
    """See ``backends.contract.Session``.

    bfloat16 is autocast: weights, gradients, optimizer state and loss stay float32; convolutions, matrix products and
    what torch's autocast lists with them compute in bfloat16. Arrays cross as float32.
    """

    def __init__(self, spec: SessionSpec, device: torch.device) -> None:
        self._spec = spec
        self._device = device
        self._layers = infer(spec.architecture)
        self._dtype = torch.float64 if spec.precision == "float64" else torch.float32
        convolutional = any(isinstance(shaped.layer, Conv2d) for shaped in self._layers)
        # Convolutions in float64 run as im2col and matrix product, for which channels_last only adds copies.
        self._channels_last = spec.tuning and convolutional and spec.precision != "float64"
        # Captured steps read the rate from device memory, which the fused kernels take in float32 alone.
        self._capture = spec.tuning and device.type == "cuda" and spec.precision != "float64"
        self._captured: dict[int, Step] = {}
        self._images = self._labels = torch.empty(0)

        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        self._model = sequential(self._layers, tuned=spec.tuning).to(device, self._dtype, memory_format=layout)
        state = self._model.state_dict()
        names = [name for shaped in self._layers for name in (*shaped.parameters, *shaped.buffers)]
        self._tensors: dict[str, Tensor] = {name: state[torch_name(name)] for name in names}
        self._shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}
        parameters = dict(self._model.named_parameters())
        self._parameters = {name: parameters[torch_name(name)] for shaped in self._layers for name in shaped.parameters}
        rate = torch.zeros((), device=device) if self._capture else 0.0
        self._optimizer = torch_optimizer(spec.optimizer, self._parameters.values(), tuned=spec.tuning, rate=rate)
        self._steps = 0
        self._dropouts = {shaped.name: shaped for shaped in self._layers if isinstance(shaped.layer, Dropout)}
        torch.manual_seed(spec.seed)  # after the modules have drawn their initial weights from the same generator
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats(device)

    def place(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        # Kept in the order of memory, so that gathering along axis 0 gives batches in the network's own layout.
        order = (0, 2, 3, 1) if self._channels_last else (0, 1, 2, 3)
        self._images = self._tensor(images.transpose(order), self._dtype)
        self._labels = self._tensor(labels, torch.int64)
        self._captured.clear()

    def train_steps(
        self,
        order: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        self._model.train()
        step = self._captured_step(order.shape[1]) if self._capture and masks is None else self._step
        indices = self._tensor(order, torch.int64)
        steps_masks = self._masks(masks, order.shape)
        losses = []
        for k, rate in enumerate(learning_rates.tolist()):
            set_rate(self._optimizer, rate)
            losses.append(step(indices[k], {name: mask[k] for name, mask in steps_masks.items()}))
        self._steps += len(losses)
        return _array(torch.stack(losses).double())

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        self._model.eval()
        with torch.inference_mode(), self._autocast():
            logits = self._model(self._batch(images))
        return _array(logits.to(self._dtype))

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        self._model.train()
        batch = self._batch(images).requires_grad_()
        loss = self._loss(batch, self._tensor(labels, torch.int64), self._masks(masks, (len(images),)))
        wanted = {"input": batch, **self._parameters}
        gradients = torch.autograd.grad(loss, list(wanted.values()))
        return loss.item(), {name: _array(value) for name, value in zip(wanted, gradients, strict=True)}

    def parameters(self) -> Arrays:
        return {name: _array(tensor) for name, tensor in self._tensors.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        check_names(self._shapes, parameters)
        for name, tensor in self._tensors.items():
            tensor.copy_(self._tensor(parameters[name], tensor.dtype))

    def optimizer_state(self) -> Arrays:
        slots = {name: _array(tensor) for name, tensor in self._slots().items()}
        return {"step": np.array(self._steps, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        slots = self._slots()
        check_names({"step": (), **{name: tuple(tensor.shape) for name, tensor in slots.items()}}, state)
        for name, tensor in slots.items():
            tensor.copy_(self._tensor(state[name], tensor.dtype))
        self._steps = int(state["step"])
        for own in self._optimizer.state.values():
            if "step" in own:
                own["step"].fill_(self._steps)

    def save(self, directory: Path) -> list[Path]:
        """``model.pt`` and ``optimizer.pt``: state dicts on the CPU, for ``torch.load(weights_only=True)``."""
        states = {"model.pt": self._model.state_dict(), "optimizer.pt": self._optimizer.state_dict()}
        for name, state in states.items():
            torch.save(_on_cpu(state), directory / name)
        return [directory / name for name in states]

    def synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def peak_device_memory(self) -> int | None:
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    def tuning(self) -> tuple[str, ...]:
        if not self._spec.tuning:
            return ()
        (group,) = self._optimizer.param_groups
        done = {
            "channels_last memory layout": self._channels_last,
            "ReLU in place, and after max pooling": True,
            "fused optimizer kernel": bool(group.get("fused")),
            "CUDA graph of the training step": self._capture,
        }
        return tuple(name for name, applies in done.items() if applies)

    def _step(self, indices: Tensor, masks: Masks) -> Tensor:
        """One optimizer step at the rate that the optimizer is set to."""
        self._optimizer.zero_grad()
        loss = self._placed_loss(indices, masks)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _captured_step(self, batch: int) -> Step:
        """``_step`` for one batch size as a CUDA graph: its many small kernels are launched as one."""
        if batch not in self._captured:
            self._captured[batch] = self._capture_step(batch)
        return self._captured[batch]

    def _capture_step(self, batch: int) -> Step:
        indices = torch.zeros(batch, dtype=torch.int64, device=self._device)
        buffers = [(buffer, buffer.clone()) for buffer in self._model.buffers()]
        side = torch.cuda.Stream(self._device)
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):  # libraries set themselves up in the first passes, which capture does not allow
            for _ in range(3):
                self._optimizer.zero_grad()
                self._placed_loss(indices, {}).backward()
        torch.cuda.current_stream(self._device).wait_stream(side)
        for buffer, before in buffers:
            buffer.copy_(before)
        self._optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self._step(indices, {})

        def replay(wanted: Tensor, _: Masks) -> Tensor:
            indices.copy_(wanted)
            graph.replay()
            return loss.clone()

        return replay

    def _placed_loss(self, indices: Tensor, masks: Masks) -> Tensor:
        images = self._images.index_select(0, indices)
        if self._channels_last:
            images = images.permute(0, 3, 1, 2)
        return self._loss(images, self._labels.index_select(0, indices), masks)

    def _loss(self, images: Tensor, labels: Tensor, masks: Masks) -> Tensor:
        with self._autocast():
            logits = self._masked(images, masks) if masks else self._model(images)
            return F.cross_entropy(logits, labels)

    def _masked(self, x: Tensor, masks: Masks) -> Tensor:
        for name, module in self._model.named_children():
            x = x * masks[name] / (1 - module.p) if name in masks else module(x)
        return x

    def _masks(self, masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]) -> Masks:
        if masks is None:
            return {}
        check_names({name: (*leading, *shaped.output_shape) for name, shaped in self._dropouts.items()}, masks)
        return {name: self._tensor(mask, torch.bool) for name, mask in masks.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._spec.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _tensor(self, array: NDArray[Any], dtype: torch.dtype) -> Tensor:
        return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=self._device)

    def _batch(self, images: NDArray[Any]) -> Tensor:
        """float[n, C, H, W] on the device, in the network's memory layout."""
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        return self._tensor(images, self._dtype).to(memory_format=layout)

    def _slots(self) -> dict[str, Tensor]:
        return {
            f"{name}.{slot}": self._optimizer.state[parameter][SLOTS[slot]]
            for name, parameter in self._parameters.items()
            for slot in self._spec.optimizer.slots
        }


def _array(tensor: Tensor) -> NDArray[Any]:
    """A copy in C order whatever the tensor's memory layout."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def _on_cpu(value: Any) -> Any:
    """A state dict with every tensor copied to the CPU."""
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.detach().cpu() if isinstance(value, Tensor) else value
