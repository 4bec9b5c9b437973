"""A network with its optimizer in MindSpore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, check_names
from backends.mindspore.network import Network, layer_cells
from backends.mindspore.optimizers import build_update
from backends.mindspore.training import Gradients, Loss, TrainStep
from specs.layers import ATTENTION_MAPS, Conv2d, Dropout
from specs.nodes import Node
from specs.shapes import buffer_shapes, infer, parameter_shapes

# Samples predicted at once: in graph mode every other number of samples costs a compilation of its own.
_PREDICT_BATCH = 256

_NATIVE_NAMES = {"running_mean": "moving_mean", "running_variance": "moving_variance"} | {
    f"{name}_{kind}": f"{name}.{kind}" for name in ATTENTION_MAPS for kind in ("weight", "bias")
}

Masks = Mapping[str, NDArray[np.bool_]]


class MindSporeSession(Session):
    """One network of ``nn`` cells with a training step over it.

    Default: PYNATIVE_MODE, in which MindSpore comes: every operation runs as Python reaches it. Recommended:
    GRAPH_MODE, the step compiled once per batch size. The mode is a setting of the whole process, so it is set anew
    with every call.
    """

    def __init__(self, spec: SessionSpec) -> None:
        self._spec = spec
        self._mode = ms.PYNATIVE_MODE if spec.tuning == "default" else ms.GRAPH_MODE
        self._dtype = getattr(ms, spec.precision)
        self._set_mode()
        self._trained = parameter_shapes(spec.architecture)
        self._shapes = self._trained | buffer_shapes(spec.architecture)
        nodes = self._nodes()
        self._dropouts = {
            node.name: (node.layer.p, node.output_shape) for node in nodes if isinstance(node.layer, Dropout)
        }
        self._cells = self._build_cells(nodes)
        self._network = Network(nodes, self._cells)
        self._network.set_train(False)  # as _set_mode does later: said or not, MindSpore compiles for each
        self._arrays = {name: _parameter(self._cells, name) for name in self._shapes}
        weights = ms.ParameterTuple([self._arrays[name] for name in self._trained])
        self._update = build_update(spec.optimizer, weights, list(self._trained), self._dtype)
        self._slots = {
            f"{name}.{slot}": array
            for slot, arrays in self._update.slots.items()
            for name, array in zip(self._trained, arrays, strict=True)
        }
        loss = Loss(self._network, self._dtype)
        self._train_step = TrainStep(loss, self._update)
        self._gradients = Gradients(loss, weights)
        self._step = 0
        self._last_scalars: tuple[tuple[float, ...], list[Any]] = ((), [])
        self._images: Any = None
        self._labels: Any = None

    def _nodes(self) -> tuple[Node, ...]:
        """The nodes to compute, in order."""
        return infer(self._spec.architecture)

    def _build_cells(self, nodes: Sequence[Node]) -> dict[str, nn.Cell]:
        """The cell of every node by its name."""
        return layer_cells(nodes, self._dtype, self._spec.seed)

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Keep images float[N, C, H, W] and labels int64[N], one-hot, as tensors."""
        self._images, self._labels = self._tensor(images), self._one_hot(labels)

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Masks | None = None,
    ) -> NDArray[np.float64]:
        """K steps over int64[K, batch] at float64[K] rates; losses float64[K]. RuntimeError without training data."""
        if self._images is None:
            raise RuntimeError("train_steps before set_training_data")
        self._set_mode(training=True)
        losses = []
        for k, batch in enumerate(batch_indices.astype(np.int32)):
            masks = None if dropout_masks is None else {name: mask[k] for name, mask in dropout_masks.items()}
            factors = self._dropout_factors(masks, len(batch))
            scalars = self._next_scalars(learning_rates[k])
            losses.append(self._train_step(self._images, self._labels, ms.Tensor(batch), *scalars, *factors))
        return np.array([float(loss.asnumpy()) for loss in losses], np.float64)

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits float[n, classes] of images float[n, C, H, W], in evaluation mode."""
        self._set_mode(training=False)
        logits = np.empty((len(images), self._spec.architecture.classes), self._spec.dtype)
        for start in range(0, len(images), _PREDICT_BATCH):
            part = slice(start, start + _PREDICT_BATCH)
            logits[part] = self._network(self._tensor(images[part])).asnumpy()
        return logits

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """The mean loss and every gradient by name, "input" for the images; moves the running statistics."""
        self._set_mode(training=True)
        factors = self._dropout_factors(dropout_masks, len(images))
        loss, image_gradient, *gradients = self._gradients(self._tensor(images), self._one_hot(labels), *factors)
        named = {name: _array(gradient) for name, gradient in zip(self._trained, gradients, strict=True)}
        return float(loss.asnumpy()), {**named, "input": _array(image_gradient)}

    def parameters(self) -> Arrays:
        """Copies of parameters and running statistics by canonical name."""
        return {name: _array(array) for name, array in self._arrays.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite parameters and running statistics. Raises KeyError or ValueError for wrong names or shapes."""
        check_names(self._shapes, parameters)
        for name, array in self._arrays.items():
            array.set_data(self._tensor(parameters[name]))

    def optimizer_state(self) -> Arrays:
        """Copies of the slots by "<parameter>.<slot>", and "step" int64[]."""
        return {"step": np.array(self._step, np.int64)} | {name: _array(array) for name, array in self._slots.items()}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Overwrite slots and step. Raises like ``load_parameters``."""
        check_names({"step": (), **{name: array.shape for name, array in self._slots.items()}}, state)
        self._step = int(state["step"])
        for name, array in self._slots.items():
            array.set_data(self._tensor(state[name]))

    def save(self, directory: Path) -> list[Path]:
        """Write network.ckpt and optimizer.ckpt; ``mindspore.load_checkpoint`` reads them.

        The network's parameters are those of MindSpore's cells under canonical layer names.
        """
        directory.mkdir(parents=True, exist_ok=True)
        step = ms.Tensor(self._step, ms.int64)
        slots = [{"name": array.name, "data": array} for array in self._slots.values()]
        files = {"network.ckpt": self._network, "optimizer.ckpt": [*slots, {"name": "step", "data": step}]}
        for file, content in files.items():
            ms.save_checkpoint(content, str(directory / file))
        return [directory / file for file in files]

    def export(self, directory: Path) -> None:
        """``model.mindir`` in float32, for any number of images, from cells of its own: these stay in training mode."""
        from backends.mindspore.export import write_mindir

        cells = layer_cells(infer(self._spec.architecture), ms.float32, self._spec.seed)
        for name, array in self._arrays.items():
            _parameter(cells, name).set_data(ms.Tensor(array.asnumpy().astype(np.float32)))
        write_mindir(cells, self._spec.architecture, directory)

    def tuning(self) -> tuple[str, ...]:
        """Graph mode, and what makes convolutions fast in this version."""
        if self._spec.tuning == "default":
            return ()
        done = ["GRAPH_MODE: each step one graph, the gather within"]
        if any(isinstance(node.layer, Conv2d) for node in infer(self._spec.architecture)):
            done.append("ONEDNN_MAX_CPU_ISA=AVX2, off MindSpore's reference kernel for convolutions")
        return tuple(done)

    def synchronize(self) -> None:
        """Wait for the device."""
        ms.runtime.synchronize()

    def _set_mode(self, training: bool | None = None) -> None:
        if ms.get_context("mode") != self._mode:
            ms.set_context(mode=self._mode)
        if training is not None and self._network.training != training:
            self._network.set_train(training)

    def _tensor(self, array: Any) -> Any:
        """A tensor of a copy in the session's precision."""
        return ms.Tensor(np.array(array, self._spec.dtype))

    def _next_scalars(self, rate: float) -> list[Any]:
        """Of the next step, as tensors; those of the step before where nothing changed, for making them takes time."""
        self._step += 1
        values = self._update.scalars(self._step, float(rate))
        if values != self._last_scalars[0]:
            self._last_scalars = values, [self._tensor(value) for value in values]
        return self._last_scalars[1]

    def _one_hot(self, labels: NDArray[np.int64]) -> Any:
        """What the loss trains towards: one-hot labels, smoothed where the spec says so."""
        classes, smoothing = self._spec.architecture.classes, self._spec.label_smoothing
        return self._tensor(np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes)

    def _dropout_factors(self, masks: Masks | None, batch: int) -> list[Any]:
        """The factor of every element at each dropout, or nothing where the framework's generator is to be used."""
        if masks is None:
            return []
        check_names({name: (batch, *shape) for name, (_, shape) in self._dropouts.items()}, masks)
        return [self._tensor(masks[name] / (1 - p)) for name, (p, _) in self._dropouts.items()]


def _parameter(cells: Mapping[str, nn.Cell], name: str) -> Any:
    layer, _, part = name.partition(".")
    return attrgetter(_NATIVE_NAMES.get(part, part))(cells[layer])


def _array(tensor: Any) -> NDArray[Any]:
    """A copy: what ``asnumpy`` gives shares the tensor's memory."""
    copy: NDArray[Any] = tensor.asnumpy().copy()
    return copy
