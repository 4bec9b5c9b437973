"""A network with its optimizer in MindSpore."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, chain, check_names
from specs.layers import Conv2d, Dropout
from specs.shapes import buffer_shapes, infer, parameter_shapes, train_flops

# Training steps in one graph, where many are asked for; the calls of a run come in powers of two.
_STEPS = 8

# Floating-point operations of a step from which on a graph of several is no faster: steps of 0.2e9 (mlp, lenet5) gain
# 5 to 20 %, those of 4e9 (cnn) lose 5 %.
_LONG_STEP = 1e9

# Samples predicted at once: every other number of samples costs a compilation of its own.
_PREDICT_BATCH = 256

_NATIVE_NAMES = {"running_mean": "moving_mean", "running_variance": "moving_variance"}

Masks = Mapping[str, NDArray[np.bool_]]


class MindSporeSession(Session):
    """One network as an ``nn.SequentialCell`` with a training step over it.

    With tuning the step is compiled (GRAPH_MODE), once per batch size, and once more with others of its kind in one
    graph where a run is to come (``compile``); without, it runs in MindSpore's default PYNATIVE_MODE. The mode is a
    setting of the whole process, so it is set anew with every call.
    """

    def __init__(self, spec: SessionSpec) -> None:
        import mindspore as ms

        from backends.mindspore.network import Gradients, Loss, TrainStep, TrainSteps, build_network
        from backends.mindspore.optimizers import build_update

        self._ms = ms
        self._spec = spec
        self._mode = ms.GRAPH_MODE if (spec.tuning == "expert") else ms.PYNATIVE_MODE
        self._dtype = getattr(ms, spec.precision)
        self._set_mode()
        layers = chain(spec.architecture)
        self._drop_rates = {shaped.name: shaped.layer.p for shaped in layers if isinstance(shaped.layer, Dropout)}
        self._drop_shapes = {shaped.name: shaped.output_shape for shaped in layers if shaped.name in self._drop_rates}
        self._trained = parameter_shapes(spec.architecture)
        self._shapes = self._trained | buffer_shapes(spec.architecture)
        self._network = build_network(layers, self._dtype, spec.seed)
        self._cells = self._network.name_cells()
        self._arrays = {name: self._parameter(name) for name in self._shapes}
        weights = ms.ParameterTuple([self._arrays[name] for name in self._trained])
        self._update = build_update(spec.optimizer, weights, self._dtype)
        self._slots = {
            f"{name}.{slot}": array
            for slot, arrays in self._update.slots.items()
            for name, array in zip(self._trained, arrays, strict=True)
        }
        loss = Loss(self._network, self._dtype)
        self._train_step = TrainStep(loss, self._update)
        self._train_together = TrainSteps(self._train_step, _STEPS)
        # In a graph of several steps all of them drop the same cells, and float64 is rounded to float32 on the way.
        self._may_group = (spec.tuning == "expert") and not self._drop_rates and spec.precision == "float32"
        self._together: int | None = None  # the batch size that it is compiled for
        self._gradients = Gradients(loss, weights)
        self._step = 0
        self._threads_apart = False
        self._last_scalars: tuple[tuple[float, ...], list[Any]] = ((), [])
        self._images: Any = None
        self._labels: Any = None

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Keep the training data as tensors, labels one-hot."""
        self._images, self._labels = self._tensor(images), self._one_hot(labels)

    def compile(self, batch_size: int, steps: int) -> None:
        """Compile several short steps into one graph where that computes the same."""
        short = batch_size * train_flops(self._spec.architecture) < _LONG_STEP
        if self._may_group and short and steps >= _STEPS:
            self._set_mode(training=True)
            index = self._ms.Tensor(np.zeros(batch_size, np.int32))
            scalars = [self._tensor(0.0)] * self._update.scalar_count
            self._train_together.compile(self._images, self._labels, *[index] * _STEPS, *scalars * _STEPS)
            self._together = batch_size

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Masks | None = None,
    ) -> NDArray[np.float64]:
        """As the contract says. Raises RuntimeError before ``set_training_data``."""
        if self._images is None:
            raise RuntimeError("train_steps before set_training_data")
        self._set_mode(training=True)
        losses = []
        together = (
            len(batch_indices) // _STEPS * _STEPS
            if self._together == batch_indices.shape[1] and dropout_masks is None
            else 0
        )
        batches = [self._ms.Tensor(batch) for batch in batch_indices.astype(np.int32)]
        for first in range(0, together, _STEPS):
            steps = slice(first, first + _STEPS)
            scalars = [scalar for rate in learning_rates[steps] for scalar in self._next_scalars(rate)]
            losses += self._train_together(self._images, self._labels, *batches[steps], *scalars)
        for k in range(together, len(batch_indices)):
            scalars = self._next_scalars(learning_rates[k])
            factors = self._scaled(
                {name: mask[k] for name, mask in dropout_masks.items()} if dropout_masks else None,
                batch_indices.shape[1],
            )
            losses.append(self._train_step(self._images, self._labels, batches[k], *scalars, *factors))
        computed = np.array([float(loss.asnumpy()) for loss in losses], np.float64)
        if self._spec.tuning == "expert" and not self._threads_apart:  # the first step has started all threads
            keep_threads_apart(self._spec.threads)
            self._threads_apart = True
        return computed

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """Logits in evaluation mode."""
        self._set_mode(training=False)
        logits = np.empty((len(images), self._spec.architecture.classes), self._spec.dtype)
        for start in range(0, len(images), _PREDICT_BATCH):
            part = slice(start, start + _PREDICT_BATCH)
            logits[part] = self._network(self._tensor(images[part])).asnumpy()
        return logits

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """As the contract says."""
        self._set_mode(training=True)
        factors = self._scaled(dropout_masks, len(images))
        loss, image_gradient, *gradients = self._gradients(self._tensor(images), self._one_hot(labels), *factors)
        named = {name: gradient.asnumpy().copy() for name, gradient in zip(self._trained, gradients, strict=True)}
        return float(loss.asnumpy()), {**named, "input": image_gradient.asnumpy().copy()}

    def parameters(self) -> Arrays:
        """As the contract says."""
        return {name: array.asnumpy().copy() for name, array in self._arrays.items()}

    def load_parameters(self, parameters: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says."""
        check_names(self._shapes, parameters)
        for name, array in self._arrays.items():
            array.set_data(self._tensor(parameters[name]))

    def optimizer_state(self) -> Arrays:
        """As the contract says."""
        slots = {name: array.asnumpy().copy() for name, array in self._slots.items()}
        return {"step": np.array(self._step, np.int64), **slots}

    def load_optimizer_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As the contract says. Raises like ``load_parameters``."""
        check_names({"step": (), **{name: array.shape for name, array in self._slots.items()}}, state)
        self._step = int(state["step"])
        for name, array in self._slots.items():
            array.set_data(self._tensor(state[name]))

    def save(self, directory: Path) -> list[Path]:
        """Write network.ckpt and optimizer.ckpt; ``mindspore.load_checkpoint`` reads them.

        The network is an ``nn.SequentialCell`` of MindSpore's layers under canonical layer names.
        """
        directory.mkdir(parents=True, exist_ok=True)
        step = self._ms.Tensor(self._step, self._ms.int64)
        slots = [{"name": array.name, "data": array} for array in self._slots.values()]
        files = {"network.ckpt": self._network, "optimizer.ckpt": [*slots, {"name": "step", "data": step}]}
        for file, content in files.items():
            self._ms.save_checkpoint(content, str(directory / file))
        return [directory / file for file in files]

    def export(self, directory: Path) -> None:
        """``model.mindir``, for any number of images."""
        from backends.mindspore.export import write_mindir

        write_mindir(self._network, self._spec.architecture, directory)

    def tuning(self) -> tuple[str, ...]:
        """As the contract says."""
        if self._spec.tuning != "expert":
            return ()
        graph = f"up to {_STEPS} short steps one graph" if self._may_group else "each step one graph"
        done = [f"{graph}, the gather within", "update kernels in place of elementary operations"]
        if any(isinstance(node.layer, Conv2d) for node in infer(self._spec.architecture)):
            done.append("convolutions kept to AVX2, off MindSpore's reference kernel")
        if self._spec.threads > 1:
            done.append("the thread that runs kernels on a processor of its own")
        return tuple(done)

    def synchronize(self) -> None:
        """Wait for the device."""
        self._ms.runtime.synchronize()

    def _set_mode(self, training: bool | None = None) -> None:
        if self._ms.get_context("mode") != self._mode:
            self._ms.set_context(mode=self._mode)
        if training is not None and self._network.training != training:
            self._network.set_train(training)

    def _parameter(self, name: str) -> Any:
        layer, _, part = name.partition(".")
        return getattr(self._cells[layer], _NATIVE_NAMES.get(part, part))

    def _tensor(self, array: Any) -> Any:
        """A tensor of a copy in the session's precision."""
        return self._ms.Tensor(np.array(array, self._spec.dtype))

    def _next_scalars(self, rate: float) -> list[Any]:
        """Of the next step, as tensors; those of the step before where nothing changed, for making them takes time."""
        self._step += 1
        values = self._update.scalars(self._step, float(rate))
        if values != self._last_scalars[0]:
            self._last_scalars = values, [self._tensor(value) for value in values]
        return self._last_scalars[1]

    def _one_hot(self, labels: NDArray[np.int64]) -> Any:
        return self._tensor(np.eye(self._spec.architecture.classes)[labels])

    def _scaled(self, dropout_masks: Masks | None, batch: int) -> list[Any]:
        """The factor of every element at each dropout, or nothing where the framework's generator is to be used."""
        if dropout_masks is None:
            return []
        check_names({name: (batch, *shape) for name, shape in self._drop_shapes.items()}, dropout_masks)
        return [self._tensor(dropout_masks[name] / (1 - rate)) for name, rate in self._drop_rates.items()]


def keep_threads_apart(threads: int) -> None:
    """Put the thread that hands out kernels on one processor and all others of this process on the rest.

    MindSpore's threads wait for one another by spinning (sched_yield) and, free to move, evict each other.
    """
    processors = sorted(os.sched_getaffinity(0))
    if min(threads, len(processors)) < 2:
        return
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError, FileNotFoundError):  # ended meanwhile
            kernels = (task / "comm").read_text().startswith("KernelThread")
            os.sched_setaffinity(int(task.name), processors[-1:] if kernels else processors[:-1])
