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

from backends.contract import Arrays, Session, SessionSpec, chain, check_names
from backends.torch.expert.cuda_graph import captured
from backends.torch.expert.passes import AutogradPass, Masks, WrittenPass
from backends.torch.network import can_be_blocked, sequential, torch_name
from backends.torch.optimizers import SLOTS, direct_update, set_rate, torch_optimizer
from specs.layers import Conv2d, Dropout, ReLU

Step = Callable[[Tensor, Masks], Tensor]
"""Indices int64[batch] and the masks of one step to the loss before its update, a scalar still on the device."""


class TorchSession(Session):
    """See ``backends.contract.Session``.

    bfloat16 is autocast: weights, gradients, optimizer state and loss stay float32; convolutions, matrix products and
    what torch's autocast lists with them compute in bfloat16. Arrays cross as float32.

    Untuned: plain modules in NCHW, autograd, ``optimizer.step``. Tuned on a CPU: the pass written out, in oneDNN's
    layout where it has every layer. Tuned on CUDA (not measured yet): fused optimizers and a CUDA graph of the step.
    """

    def __init__(self, spec: SessionSpec, device: torch.device) -> None:
        self._spec = spec
        self._device = device
        self._layers = chain(spec.architecture)
        self._dtype = torch.float64 if spec.precision == "float64" else torch.float32
        self._choose()
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        network = sequential(self._layers, tuned=(spec.tuning == "expert"), blocked=self._blocked)
        self._network = network.to(device, self._dtype, memory_format=layout)
        self._name_tensors()
        rate = torch.zeros((), device=device) if self._graph else 0.0
        trained = list(self._parameters.values())
        self._optimizer = torch_optimizer(spec.optimizer, trained, tuned=(spec.tuning == "expert"), rate=rate)
        self._pass: AutogradPass | WrittenPass
        self._update: Callable[[list[Tensor]], None]
        if self._written:
            self._pass, self._update = WrittenPass(network), direct_update(spec.optimizer, self._optimizer)
        else:
            self._pass, self._update = AutogradPass(network, self._autocast), lambda _: self._optimizer.step()
        self._steps = 0
        self._captured: dict[int, Step] = {}
        self._gathered: dict[int, list[Tensor]] = {}  # by batch size: always in the same place, which is in the cache
        self._images = self._labels = torch.empty(0)
        torch.manual_seed(spec.seed)  # after the modules have drawn their initial weights from the same generator
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats(device)

    def _choose(self) -> None:
        """The ways of going fast that suit this network, device and precision."""
        spec, cpu = self._spec, self._device.type == "cpu"
        convolutional = any(isinstance(shaped.layer, Conv2d) for shaped in self._layers)
        self._written = (spec.tuning == "expert") and cpu and spec.precision != "bfloat16"
        self._blocked = self._written and spec.precision == "float32" and can_be_blocked(self._layers)
        # NHWC kernels: oneDNN's for both precisions it has, cuDNN's on tensor cores, which float32 does not use.
        suited = spec.precision in ({"float32", "bfloat16"} if cpu else {"bfloat16"})
        self._channels_last = (spec.tuning == "expert") and convolutional and suited and not self._blocked
        # A captured step reads its rate from device memory, which the fused kernels take in float32 alone.
        self._graph = (spec.tuning == "expert") and not cpu and spec.precision != "float64"

    def _name_tensors(self) -> None:
        """Canonical names of the network's own tensors, in network order."""
        state = self._network.state_dict(keep_vars=True)
        trained = [name for shaped in self._layers for name in shaped.parameters]
        buffers = [name for shaped in self._layers for name in shaped.buffers]
        self._parameters: dict[str, Tensor] = {name: state[torch_name(name)] for name in trained}
        self._tensors = self._parameters | {name: state[torch_name(name)] for name in buffers}
        self._shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        # In the order of memory, so that gathering along axis 0 gives batches in the network's own layout.
        self._images = self._tensor(images.transpose(0, 2, 3, 1) if self._channels_last else images, self._dtype)
        self._labels = self._tensor(labels, torch.int64)
        self._captured.clear()
        self._gathered.clear()

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        self._network.train()
        step = self._captured_step(batch_indices.shape[1]) if self._graph and dropout_masks is None else self._step
        batches = self._tensor(batch_indices, torch.int64).unbind()
        given = self._masks(dropout_masks, batch_indices.shape)
        losses = []
        with self._pass.mode():
            for k, (indices, rate) in enumerate(zip(batches, learning_rates.tolist(), strict=True)):
                set_rate(self._optimizer, rate)
                losses.append(step(indices, {name: mask[k] for name, mask in given.items()}))
        self._steps += len(losses)
        return _array(torch.stack(losses).double())

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        self._network.eval()
        with torch.inference_mode(), self._autocast():
            logits = self._network(self._batch(images))
        return _array(logits.to(self._dtype))

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        self._network.train()
        batch, targets = self._batch(images), self._tensor(labels, torch.int64)
        with self._pass.mode():
            loss, gradients, of_input = self._pass(
                batch, targets, self._masks(dropout_masks, (len(images),)), of_input=True
            )
        named = dict(zip(self._parameters, gradients, strict=True)) | {"input": of_input}
        return loss.item(), {name: _array(gradient) for name, gradient in named.items()}

    def parameters(self) -> Arrays:
        return {name: _array(tensor) for name, tensor in self._tensors.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        check_names(self._shapes, parameters)
        self._overwrite(self._tensors, parameters)

    def optimizer_state(self) -> Arrays:
        return {"step": np.array(self._steps, np.int64)} | {name: _array(slot) for name, slot in self._slots().items()}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        slots = self._slots()
        check_names({"step": (), **{name: tuple(slot.shape) for name, slot in slots.items()}}, state)
        self._overwrite(slots, state)
        self._steps = int(state["step"])
        for own in self._optimizer.state.values():
            if "step" in own:
                own["step"].fill_(self._steps)

    def save(self, directory: Path) -> list[Path]:
        """``model.pt`` and ``optimizer.pt``: state dicts on the CPU, for ``torch.load(weights_only=True)``."""
        directory.mkdir(parents=True, exist_ok=True)
        states = {"model.pt": self._network.state_dict(), "optimizer.pt": self._optimizer.state_dict()}
        for name, state in states.items():
            torch.save(_on_cpu(state), directory / name)
        return [directory / name for name in states]

    def export(self, directory: Path) -> None:
        """``model.pt2``, a ``torch.export`` program of plain modules in NCHW."""
        from backends.torch.export import write_program

        plain = sequential(self._layers, tuned=False, blocked=False)
        plain.load_state_dict(_on_cpu(self._network.state_dict()))
        write_program(plain, self._spec.architecture.input, directory)

    def synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def peak_device_memory(self) -> int | None:
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    def tuning(self) -> tuple[str, ...]:
        if self._spec.tuning != "expert":
            return ()
        (group,) = self._optimizer.param_groups
        done = {
            "forward and backward pass written out, no autograd graph": self._written,
            "convolutional part in oneDNN's blocked layout": self._blocked,
            "channels_last memory layout": self._channels_last,
            "ReLU in place, and after max pooling": any(isinstance(shaped.layer, ReLU) for shaped in self._layers),
            "fused optimizer kernel": bool(group.get("fused")),
            "CUDA graph of the training step": self._graph,
        }
        return tuple(name for name, applies in done.items() if applies)

    def _step(self, indices: Tensor, dropout_masks: Masks) -> Tensor:
        """One optimizer step at the rate that the optimizer is set to."""
        size = len(indices)
        if size not in self._gathered:
            self._gathered[size] = [data.new_empty((size, *data.shape[1:])) for data in (self._images, self._labels)]
        images, labels = self._gathered[size]
        torch.index_select(self._images, 0, indices, out=images)
        torch.index_select(self._labels, 0, indices, out=labels)
        if self._channels_last:
            images = images.permute(0, 3, 1, 2)
        loss, gradients, _ = self._pass(images, labels, dropout_masks)
        self._update(gradients)
        return loss

    def _captured_step(self, batch: int) -> Step:
        if batch not in self._captured:
            self._captured[batch] = captured(self._step, batch, network=self._network, optimizer=self._optimizer)
        return self._captured[batch]

    def _masks(self, dropout_masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]) -> Masks:
        if dropout_masks is None:
            return {}
        dropouts = [shaped for shaped in self._layers if isinstance(shaped.layer, Dropout)]
        check_names({shaped.name: (*leading, *shaped.output_shape) for shaped in dropouts}, dropout_masks)
        return {name: self._tensor(mask, torch.bool) for name, mask in dropout_masks.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._spec.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _batch(self, images: NDArray[Any]) -> Tensor:
        """float[n, C, H, W] on the device, in the network's memory layout."""
        layout = torch.channels_last if self._channels_last else torch.contiguous_format
        return self._tensor(images, self._dtype).to(memory_format=layout)

    def _tensor(self, array: NDArray[Any], dtype: torch.dtype) -> Tensor:
        """A copy on the device."""
        return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=self._device)

    def _slots(self) -> dict[str, Tensor]:
        """The optimizer's own tensors under "<parameter>.<slot>"."""
        return {
            f"{name}.{slot}": self._optimizer.state[parameter][SLOTS[slot]]
            for name, parameter in self._parameters.items()
            for slot in self._spec.optimizer.slots
        }

    def _overwrite(self, tensors: Mapping[str, Tensor], arrays: Mapping[str, NDArray[Any]]) -> None:
        """In place: fused optimizers and captured graphs hold on to these very tensors."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(self._tensor(arrays[name], tensor.dtype))


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
