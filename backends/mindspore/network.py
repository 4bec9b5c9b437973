"""The network, its loss and its training step as MindSpore cells.

Imported by ``backends.mindspore.adapter`` once MindSpore is to be loaded. A cell's ``construct`` is compiled from its
source in graph mode, so it keeps to what MindSpore's parser knows. Defaults of MindSpore's layers change between
versions (bias of convolutions, padding modes, batch norm's momentum): every argument is written out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from backends.mindspore.optimizers import Update
from specs.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.nodes import Node


class SpatialMean(nn.Cell):
    """[n, c, h, w] to [n, c]: MindSpore has no layer of its own for global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, x: Any) -> Any:
        return self.mean(x, (2, 3))


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


class Leaky(nn.Cell):
    """x where x > 0, else slope * x.

    ``nn.LeakyReLU`` is a maximum of the two, whose derivative at 0 is not the slope, and rounds the slope to float32.
    """

    def __init__(self, slope: float, dtype: Any) -> None:
        super().__init__()
        self.slope = ms.Tensor(slope, dtype)

    def construct(self, x: Any) -> Any:
        return ops.select(x > 0, x, self.slope * x)


class PreciseTanh(nn.Cell):
    """tanh(x), computed in float64: MindSpore's float32 kernel is 1 from 5 on, 1e-4 too much."""

    def __init__(self) -> None:
        super().__init__()
        self.tanh = ops.Tanh()
        self.cast = ops.Cast()

    def construct(self, x: Any) -> Any:
        return self.cast(self.tanh(self.cast(x, ms.float64)), x.dtype)


def build_network(layers: Iterable[Node], dtype: Any, seed: int) -> nn.SequentialCell:
    """A plain ``nn.SequentialCell`` under canonical layer names, weights at 0, dropout drawing from ``seed``."""
    network = nn.SequentialCell(OrderedDict((shaped.name, _cell(shaped, dtype)) for shaped in layers))
    dropouts = (cell for cell in network if isinstance(cell, nn.Dropout))
    for ordinal, cell in enumerate(dropouts, start=1):
        cell.dropout = ops.Dropout(keep_prob=1.0 - cell.p, Seed0=seed, Seed1=ordinal)
    return network


def _cell(shaped: Node, dtype: Any) -> nn.Cell:
    match shaped.layer:
        case Conv2d() as layer:
            top, left = layer.padding
            return nn.Conv2d(
                shaped.input_shape[0],
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                pad_mode="pad",
                padding=(top, top, left, left),
                dilation=1,
                group=1,
                has_bias=layer.bias,
                weight_init="zeros",
                bias_init="zeros",
                data_format="NCHW",
                dtype=dtype,
            )
        case Linear() as layer:
            return nn.Dense(
                shaped.input_shape[0],
                layer.out_features,
                weight_init="zeros",
                bias_init="zeros",
                has_bias=layer.bias,
                activation=None,
                dtype=dtype,
            )
        case MaxPool2d() as layer:
            if layer.padding == (0, 0) and dtype == ms.float32:  # the kernel without padding computes in float32
                return WindowMaximum(layer.kernel_size, layer.stride)
            return nn.MaxPool2d(
                layer.kernel_size,
                layer.stride,
                pad_mode="pad",
                padding=layer.padding,
                dilation=1,
                return_indices=False,
                ceil_mode=False,
                data_format="NCHW",
            )
        case AvgPool2d() as layer:
            if layer.padding == (0, 0):
                return nn.AvgPool2d(layer.kernel_size, layer.stride, pad_mode="valid", data_format="NCHW")
            return nn.AvgPool2d(
                layer.kernel_size,
                layer.stride,
                pad_mode="pad",
                padding=layer.padding,
                ceil_mode=False,
                count_include_pad=layer.count_include_pad,
                divisor_override=None,
                data_format="NCHW",
            )
        case BatchNorm2d() as layer:
            return nn.BatchNorm2d(
                shaped.input_shape[0],
                eps=layer.epsilon,
                momentum=1.0 - layer.momentum,  # MindSpore's momentum is the weight of the old value
                affine=True,
                gamma_init="ones",
                beta_init="zeros",
                moving_mean_init="zeros",
                moving_var_init="ones",
                use_batch_statistics=None,
                data_format="NCHW",
                dtype=dtype,
            )
        case GlobalAvgPool():
            return SpatialMean()
        case Dropout() as layer:
            return nn.Dropout(p=layer.p)
        case Flatten():
            return nn.Flatten(start_dim=1, end_dim=-1)
        case ReLU():
            return nn.ReLU()
        case LeakyReLU() as layer:
            return Leaky(layer.negative_slope, dtype)
        case Tanh():
            return PreciseTanh()
        case Sigmoid():
            return nn.Sigmoid()
        case GELU():
            return nn.GELU(approximate=False)
        case Softmax():
            return nn.Softmax(axis=1)


class Loss(nn.Cell):
    """Mean softmax cross-entropy of a batch; ``dropout_masks`` holds the factors of each dropout layer, or nothing.

    Labels are one-hot: the kernel that takes them computes loss and gradient in one pass and is the cheapest of all.
    It knows no float64, and LogSoftmax rounds to float32 within: elementary operations take their place there.
    """

    def __init__(self, network: nn.SequentialCell, dtype: Any) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.cells = tuple(network)
        self.drops = tuple(isinstance(cell, nn.Dropout) for cell in network)
        self.fused = dtype == ms.float32
        self.cross_entropy = ops.SoftmaxCrossEntropyWithLogits()
        self.max, self.sum = ops.ReduceMax(keep_dims=True), ops.ReduceSum(keep_dims=False)
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, images: Any, labels: Any, *dropout_masks: Any) -> Any:
        logits = self.network(images) if len(dropout_masks) == 0 else self.masked(images, dropout_masks)
        if self.fused:
            losses, _ = self.cross_entropy(logits, labels)
        else:
            shifted = logits - ops.stop_gradient(self.max(logits, 1))
            losses = ops.log(self.sum(ops.exp(shifted), 1)) - self.sum(labels * shifted, 1)
        return self.mean(losses)

    def masked(self, x: Any, dropout_masks: Any) -> Any:
        """The network with every dropout replaced by multiplication with its mask."""
        used = 0
        for i in range(len(self.cells)):
            if self.drops[i]:
                x = x * dropout_masks[used]
                used += 1
            else:
                x = self.cells[i](x)
        return x


class TrainStep(nn.Cell):
    """One optimizer step on the samples at ``index`` of the placed data; gives the loss before the update.

    ``inputs`` are the scalars of the update, then the masks if there are any: each an argument of its own, because a
    tuple of tensors is a constant to MindSpore, and new constants compile the graph anew.
    """

    def __init__(self, loss: Loss, update: Update) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.update = update
        self.trained = len(update.weights) > 0
        self.loss_and_gradients = ms.value_and_grad(loss, None, weights=update.weights)
        self.gather = ops.Gather()

    def construct(self, images: Any, labels: Any, index: Any, *inputs: Any) -> Any:
        scalars, dropout_masks = inputs[: self.update.scalar_count], inputs[self.update.scalar_count :]
        batch, targets = self.gather(images, index, 0), self.gather(labels, index, 0)
        if not self.trained:
            return self.loss(batch, targets, *dropout_masks)
        loss, gradients = self.loss_and_gradients(batch, targets, *dropout_masks)
        self.update(gradients, scalars)
        return loss


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


class Gradients(nn.Cell):
    """The loss of one batch, its gradient with respect to the images, and those with respect to the weights."""

    def __init__(self, loss: Loss, weights: ms.ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.trained = len(weights) > 0
        self.loss_and_gradients = ms.value_and_grad(loss, 0, weights=weights if self.trained else None)

    def construct(self, images: Any, labels: Any, *dropout_masks: Any) -> Any:
        loss, gradients = self.loss_and_gradients(images, labels, *dropout_masks)
        return (loss, gradients[0], *gradients[1]) if self.trained else (loss, gradients)
