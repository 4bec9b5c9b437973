"""MindSpore's training made as fast as it gets on a CPU: several steps in one graph, threads kept apart."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from backends.contract import SessionSpec
from backends.mindspore.expert.cells import TrainSteps, WindowMaximum
from backends.mindspore.session import MindSporeSession
from backends.rewrites import relu_after_max_pool
from specs.layers import GRU, LSTM, MaxPool2d
from specs.nodes import Node
from specs.shapes import infer, train_flops

# Training steps in one graph, where many are asked for; the calls of a run come in powers of two.
_STEPS = 8

# Floating-point operations of a step from which on a graph of several is no faster: steps of 0.2e9 (mlp, lenet5) gain
# 5 to 20 %, those of 4e9 (cnn) lose 5 %.
_LONG_STEP = 1e9


class ExpertSession(MindSporeSession):
    """The recommended session with eight short steps to a graph, cheaper max pooling, and its threads kept apart."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        self._steps_in_one = TrainSteps(self._train_step, _STEPS)
        # In a graph of several steps all of them drop the same cells, and float64 is rounded to float32 on the way.
        # What goes token by token is a graph so long that eight of them take minutes to compile.
        recurrent = any(isinstance(node.layer, LSTM | GRU) for node in infer(spec.architecture))
        self._may_group = not self._dropouts and spec.precision == "float32" and not recurrent
        self._compiled_batch: int | None = None
        self._threads_apart = False

    def _nodes(self) -> tuple[Node, ...]:
        return relu_after_max_pool(super()._nodes())

    def _build_cells(self, nodes: Sequence[Node]) -> dict[str, nn.Cell]:
        cells = super()._build_cells(nodes)
        for node in nodes:
            match node.layer:
                # The kernel without padding computes in float32.
                case MaxPool2d(padding=(0, 0), ceil_mode=False) as layer if self._dtype == ms.float32:
                    cells[node.name] = WindowMaximum(layer.kernel_size, layer.stride)
        return cells

    def compile(self, batch_size: int, steps: int) -> None:
        """Compile several short steps into one graph where that computes the same."""
        short = batch_size * train_flops(self._spec.architecture) < _LONG_STEP
        if self._may_group and short and steps >= _STEPS:
            self._set_mode(training=True)
            index = ms.Tensor(np.zeros(batch_size, np.int32))
            scalars = [self._tensor(0.0)] * self._update.scalar_count
            self._steps_in_one.compile(self._images, self._labels, *[index] * _STEPS, *scalars * _STEPS)
            self._compiled_batch = batch_size

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> NDArray[np.float64]:
        """As many steps as go by eights in one graph each, the rest one by one."""
        together = len(batch_indices) // _STEPS * _STEPS if self._compiled_batch == batch_indices.shape[1] else 0
        losses = self._grouped(batch_indices[:together], learning_rates[:together])
        rest = super().train_steps(batch_indices[together:], learning_rates[together:], dropout_masks=dropout_masks)
        if not self._threads_apart:  # the first step has started all threads
            keep_threads_apart(self._spec.threads)
            self._threads_apart = True
        return np.concatenate([[float(loss.asnumpy()) for loss in losses], rest])

    def tuning(self) -> tuple[str, ...]:
        """What the recommended manner does, and what is done beyond it."""
        done = [*super().tuning(), "ReLU after max pooling, which keeps the places of the maxima"]
        if self._may_group:
            done.append(f"up to {_STEPS} short steps one graph")
        if self._spec.threads > 1:
            done.append("the thread that runs kernels on a processor of its own")
        return tuple(done)

    def _grouped(self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64]) -> list[Any]:
        """The losses of a multiple of ``_STEPS`` steps, tensors still."""
        self._set_mode(training=True)
        losses: list[Any] = []
        for first in range(0, len(batch_indices), _STEPS):
            steps = slice(first, first + _STEPS)
            batches = [ms.Tensor(batch) for batch in batch_indices[steps].astype(np.int32)]
            scalars = [scalar for rate in learning_rates[steps] for scalar in self._next_scalars(rate)]
            losses += self._steps_in_one(self._images, self._labels, *batches, *scalars)
        return losses


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
