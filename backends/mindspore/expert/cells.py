"""Cells that are faster than MindSpore's own on a CPU: max pooling, and several steps in one graph."""

from __future__ import annotations

from typing import Any

from mindspore import nn, ops

from backends.mindspore.training import TrainStep


class WindowMaximum(nn.Cell):
    """Max pooling without padding, remembering where each maximum was (the first of equals).

    ``nn.MaxPool2d`` leaves it to oneDNN, whose kernel for plain layouts below AVX-512 is a reference: forward and
    backward take two and a half times as long.
    """

    def __init__(self, kernel_size: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.max_pool = ops.MaxPoolWithArgmax(kernel_size, stride, pad_mode="valid", data_format="NCHW")

    def construct(self, x: Any) -> Any:
        return self.max_pool(x)[0]


class TrainSteps(nn.Cell):
    """``count`` training steps in one graph; gives their losses. ``inputs``: the index of every step, then its scalars.

    Between them nothing waits for Python, nor one thread for another.
    """

    def __init__(self, step: TrainStep, count: int) -> None:
        super().__init__(auto_prefix=False)
        self.step = step
        self.count = count
        self.scalar_count = step.update.scalar_count

    def construct(self, images: Any, labels: Any, *inputs: Any) -> Any:
        losses: Any = ()
        for k in range(self.count):
            first = self.count + k * self.scalar_count
            scalars = inputs[first : first + self.scalar_count]
            losses += (self.step(images, labels, inputs[k], *scalars),)
        return losses
