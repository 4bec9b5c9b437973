"""A network with its optimizer in PyTorch, on a CPU or a CUDA device, as PyTorch's documentation has it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.torch.network import Masks, Network, Part, parts, torch_name
from backends.torch.optimizers import SLOTS, clip, fast_kernel, set_rate, torch_optimizer
from specs.layers import Conv2d, Dropout
from specs.shapes import infer


class TorchSession(Session):
    """See ``backends.contract.Session``. Modules, autograd and ``torch.optim``.

    "default" is what PyTorch's first tutorial does: NCHW and the optimizers' usual kernels. "recommended" adds the
    channels_last memory format where it is the faster one, and optimizer kernels that take all parameters at once.

    bfloat16 is autocast: weights, gradients, optimizer state and loss stay float32; convolutions, matrix products and
    what torch's autocast lists with them compute in bfloat16. Arrays cross as float32.
    """

    def __init__(self, spec: SessionSpec, device: torch.device) -> None:
        self._spec = spec
        self._device = device
        self._nodes = infer(spec.architecture)
        self._dtype = torch.float64 if spec.precision == "float64" else torch.float32
        self._layout = torch.channels_last if self._channels_last() else torch.contiguous_format
        self._network = Network(self._parts()).to(device, self._dtype, memory_format=self._layout)
        state = self._network.state_dict(keep_vars=True)
        self._parameters: dict[str, Tensor] = {
            name: state[torch_name(name)] for node in self._nodes for name in node.parameters
        }
        self._tensors = self._parameters | {
            name: state[torch_name(name)] for node in self._nodes for name in node.buffers
        }
        self._optimizer = torch_optimizer(spec.optimizer, self._parameters, **self._optimizer_options())
        self._steps = 0
        self._images = self._labels = torch.empty(0)
        torch.manual_seed(spec.seed)  # after the modules have drawn their initial weights from the same generator
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats(device)

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy images float[N, C, H, W] and labels int64[N] to the device."""
        self._images = self._tensor(images, self._dtype)
        self._labels = self._tensor(labels, torch.int64)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """Losses float64[K] of K steps on int64[K, batch], at rates float64[K], masks bool[K, batch, *shape]."""
        self._network.train()
        batches = self._tensor(batch_indices, torch.int64)
        masks = self._masks(dropout_masks, batch_indices.shape)
        losses = []
        for k, rate in enumerate(learning_rates.tolist()):
            set_rate(self._optimizer, rate)
            losses.append(self._step(batches[k], {name: mask[k] for name, mask in masks.items()}))
        self._steps += len(losses)
        return array(torch.stack(losses).double())

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W] in evaluation mode."""
        self._network.eval()
        with torch.inference_mode(), self._autocast():
            logits = self._network(self._batch(images))
        return array(logits.to(self._dtype))

    def loss_and_gradients(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[float, Arrays]:
        """The loss and gradients by name, for images float[n, C, H, W], labels int64[n], masks bool[n, *shape]."""
        self._network.train()
        batch = self._batch(images).requires_grad_()
        masks = self._masks(dropout_masks, (len(images),))
        loss = self._loss(batch, self._tensor(labels, torch.int64), masks)
        loss.backward()
        gradients = {name: array(parameter.grad) for name, parameter in self._parameters.items()}
        self._optimizer.zero_grad()
        return loss.item(), gradients | {"input": array(batch.grad)}

    def parameters(self) -> Arrays:
        """Copies of parameters and buffers, float arrays by canonical name."""
        return {name: array(tensor) for name, tensor in self._tensors.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite parameters and buffers in place. Raises KeyError or ValueError for a wrong name or shape."""
        check_names({name: tuple(tensor.shape) for name, tensor in self._tensors.items()}, parameters)
        self._overwrite(self._tensors, parameters)

    def optimizer_state(self) -> Arrays:
        """Copies of "step", int64 scalar, and of every "<parameter>.<slot>", shaped like the parameter."""
        return {"step": np.array(self._steps, np.int64)} | {name: array(slot) for name, slot in self._slots().items()}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite step and slots in place. Raises KeyError or ValueError for a wrong name or shape."""
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

        plain = Network(parts(self._nodes))
        plain.load_state_dict(_on_cpu(self._network.state_dict()))
        write_program(plain, self._spec.architecture.input, directory)

    def synchronize(self) -> None:
        """Wait for the GPU; on a CPU every operation has ended when its call returns."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def peak_device_memory(self) -> int | None:
        """The peak of PyTorch's GPU allocator in bytes since the session opened; None on a CPU."""
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    def tuning(self) -> tuple[str, ...]:
        """What was done beyond the defaults, a phrase each."""
        group = self._optimizer.param_groups[0]
        done = {
            "channels_last memory format": self._layout == torch.channels_last,
            "fused optimizer kernel": bool(group.get("fused")),
            "optimizer kernels that take all parameters at once (foreach)": bool(group.get("foreach")),
        }
        return tuple(name for name, applies in done.items() if applies)

    def _channels_last(self) -> bool:
        """Where its kernels are faster: oneDNN's on a CPU for both precisions that it has, cuDNN's on tensor cores."""
        if self._spec.tuning == "default" or not any(isinstance(node.layer, Conv2d) for node in self._nodes):
            return False
        return self._spec.precision in ({"float32", "bfloat16"} if self._device.type == "cpu" else {"bfloat16"})

    def _parts(self) -> list[Part]:
        return parts(self._nodes)

    def _optimizer_options(self) -> dict[str, Any]:
        return {} if self._spec.tuning == "default" else fast_kernel(self._spec.optimizer)

    def _step(self, indices: Tensor, dropout_masks: Masks) -> Tensor:
        """One optimizer step on the samples int64[batch]: the loss before it, a scalar still on the device."""
        images = torch.index_select(self._images, 0, indices).contiguous(memory_format=self._layout)
        loss = self._loss(images, torch.index_select(self._labels, 0, indices), dropout_masks)
        loss.backward()
        if self._spec.optimizer.clip_norm:
            clip((parameter.grad for parameter in self._parameters.values()), self._spec.optimizer.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()

    def _loss(self, images: Tensor, labels: Tensor, dropout_masks: Masks) -> Tensor:
        with self._autocast():
            logits = self._network(images, dropout_masks)
            return cross_entropy(logits, labels, label_smoothing=self._spec.label_smoothing)

    def _masks(self, dropout_masks: Mapping[str, NDArray[np.bool_]] | None, leading: tuple[int, ...]) -> Masks:
        if dropout_masks is None:
            return {}
        dropouts = [node for node in self._nodes if isinstance(node.layer, Dropout)]
        check_names({node.name: (*leading, *node.output_shape) for node in dropouts}, dropout_masks)
        return {name: self._tensor(mask, torch.bool) for name, mask in dropout_masks.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._spec.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _batch(self, images: NDArray[Any]) -> Tensor:
        """float[n, C, H, W] on the device, in the network's memory layout."""
        return self._tensor(images, self._dtype).contiguous(memory_format=self._layout)

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
        """In place: the optimizer and captured graphs hold on to these very tensors."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(self._tensor(arrays[name], tensor.dtype))


def array(tensor: Tensor) -> NDArray[Any]:
    """A copy in C order whatever the tensor's memory layout."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def _on_cpu(value: Any) -> Any:
    """A state dict with every tensor copied to the CPU."""
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.detach().cpu() if isinstance(value, Tensor) else value
