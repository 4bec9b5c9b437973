"""A network of the specs as one ``paddle.nn.Layer`` whose sublayers carry canonical names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from backends.layouts import transposed
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import (
    GELU,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
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
from specs.nodes import INPUT, Node, last_uses
from specs.shapes import infer

# What Paddle calls the parts of a layer, where the canonical name differs.
_PARTS = {"gamma": "weight", "beta": "bias", "running_mean": "_mean", "running_variance": "_variance"}


class Network(nn.Layer):  # type: ignore[misc]  # Paddle is untyped here
    """The nodes of an architecture, computed one after another in ``dtype``; in training mode when made."""

    def __init__(self, architecture: Architecture, dtype: str) -> None:
        super().__init__()
        self._nodes = infer(architecture)
        self._steps = tuple(zip(self._nodes, last_uses(self._nodes), strict=True))
        default = paddle.get_default_dtype()
        paddle.set_default_dtype(dtype)
        try:
            for node in self._nodes:
                self.add_sublayer(node.name, _layer(node))
        finally:
            paddle.set_default_dtype(default)

    def forward(self, images: paddle.Tensor, kept: Mapping[str, paddle.Tensor] | None = None) -> paddle.Tensor:
        """Logits float[N, classes] of images float[N, C, H, W].

        ``kept`` maps dropout layers to tensors of the shape of their input, 1 where an element is kept, 0 elsewhere.
        """
        values = {INPUT: images}
        for node, unused in self._steps:
            inputs = [values[name] for name in node.inputs]
            if kept is not None and isinstance(node.layer, Dropout):
                values[node.name] = inputs[0] * kept[node.name] / (1 - node.layer.p)
            else:
                values[node.name] = getattr(self, node.name)(*inputs)
            for name in unused:
                del values[name]
        return values[self._nodes[-1].name]

    def entries(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        """Parameters, and buffers, by canonical name in network order."""
        parameters = {name: self._entry(node, name) for node in self._nodes for name in node.parameters}
        buffers = {name: self._entry(node, name) for node in self._nodes for name in node.buffers}
        return parameters, buffers

    def _entry(self, node: Node, name: str) -> Entry:
        part = name.removeprefix(f"{node.name}.")
        tensor = getattr(getattr(self, node.name), _PARTS.get(part, part))
        shape = (node.parameters | node.buffers)[name]
        return Entry(tensor=tensor, shape=shape, transposed=isinstance(node.layer, Linear) and part == "weight")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where an array of canonical ``shape`` lives: in ``tensor``, which stores it [in, out] when ``transposed``."""

    tensor: Any
    shape: tuple[int, ...]
    transposed: bool

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical copy of an array shaped like the tensor (its value, a gradient, an optimizer's slot)."""
        return np.array(array.T if self.transposed else array, order="C")

    def native(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of ``canonical``, in the tensor's dtype."""
        dtype = np.float64 if self.tensor.dtype == paddle.float64 else np.float32
        return (transposed(array) if self.transposed else np.ascontiguousarray(array)).astype(dtype, copy=False)


class BatchNorm2D(nn.BatchNorm2D):  # type: ignore[misc]
    """Paddle's batch norm, but with the unbiased variance of the batch in the running statistic."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to the same shape; in training mode moves the running statistics."""
        if not self.training:
            return super().forward(input)
        statistics, trained = (self._mean, self._variance), (self.weight, self.bias)
        return batch_norm(input, statistics, trained, 1 - self._momentum, self._epsilon)


def batch_norm(
    x: Any,
    statistics: tuple[Any, Any],
    trained: tuple[Any, Any],
    momentum: float,
    epsilon: float,
    data_format: str = "NCHW",
) -> Any:
    """``x`` normalised by the batch; moves ``statistics``, the running mean and variance float[C], as the specs do.

    ``trained`` are gamma and beta; ``momentum`` is the weight of the new value. Paddle's kernel would take the biased
    variance into the running one, so it is given momentum 0 and zeros: it then hands out the batch's own statistics.
    Raises RequestError for a batch of one value per channel.
    """
    mean, variance = (paddle.zeros_like(statistic) for statistic in statistics)
    count = math.prod(x.shape) // mean.shape[0]
    if count < 2:
        raise RequestError(f"batch_norm2d: training needs more than one value per channel, got {list(x.shape)}")
    output = nn.functional.batch_norm(
        x, mean, variance, *trained, training=True, momentum=0.0, epsilon=epsilon, data_format=data_format
    )
    with paddle.no_grad():
        for running, new in zip(statistics, (mean, variance * (count / (count - 1))), strict=True):
            paddle.assign(running * (1 - momentum) + new * momentum, running)
    return output


class Sum(nn.Layer):  # type: ignore[misc]
    """Its inputs added up from the first to the last."""

    def forward(self, *inputs: paddle.Tensor) -> paddle.Tensor:
        """Tensors of one shape to that shape."""
        total = inputs[0]
        for summand in inputs[1:]:
            total = total + summand
        return total


class Concatenation(nn.Layer):  # type: ignore[misc]
    """Its inputs one behind the other along ``axis``."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis = axis

    def forward(self, *inputs: paddle.Tensor) -> paddle.Tensor:
        """Tensors that differ along the axis alone to one tensor."""
        return paddle.concat(inputs, axis=self._axis)


class GlobalAvgPool2D(nn.Layer):  # type: ignore[misc]
    """Mean over height and width."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to float[N, C]."""
        return input.mean((2, 3))


class CanonicalLeakyReLU(nn.Layer):  # type: ignore[misc]
    """Leaky ReLU whose derivative at 0 is the slope; that of Paddle's own is 1 there."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self._slope = slope

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """x where x > 0, else slope * x; any shape."""
        return paddle.where(x > 0, x, self._slope * x)


class AvgPool2D64(nn.AvgPool2D):  # type: ignore[misc]
    """Average pooling for float64: the gradient of Paddle's kernel divides by a window size in single precision."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """float64[N, C, H, W] to the pooled size."""
        kernel, stride, padding = self.ksize, self.stride, self.padding

        def sums(image: paddle.Tensor) -> paddle.Tensor:
            n, c, height, width = image.shape
            sizes = [
                (size + 2 * p - k) // s + 1
                for size, k, s, p in zip((height, width), kernel, stride, padding, strict=True)
            ]
            windows = nn.functional.unfold(image, list(kernel), list(stride), list(padding))
            return windows.reshape([n, c, math.prod(kernel), *sizes]).sum(2)

        return sums(x) / (sums(paddle.ones_like(x)) if self.exclusive else math.prod(kernel))


def _layer(node: Node) -> nn.Layer:
    match node.layer:
        case Conv2d() as layer:
            channels, bias = node.input_shape[0], None if layer.bias else False
            kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
            return nn.Conv2D(channels, layer.out_channels, kernel, stride=stride, padding=padding, bias_attr=bias)
        case Linear() as layer:
            return nn.Linear(node.input_shape[0], layer.out_features, bias_attr=None if layer.bias else False)
        case MaxPool2d() as layer:
            return nn.MaxPool2D(layer.kernel_size, layer.stride, layer.padding)
        case AvgPool2d() as layer:
            pool = AvgPool2D64 if paddle.get_default_dtype() == "float64" else nn.AvgPool2D
            return pool(layer.kernel_size, layer.stride, layer.padding, exclusive=not layer.count_include_pad)
        case GlobalAvgPool():
            return GlobalAvgPool2D()
        case BatchNorm2d() as layer:
            # Paddle's momentum is the weight of the old value.
            return BatchNorm2D(node.input_shape[0], 1 - layer.momentum, layer.epsilon)
        case Dropout() as layer:
            return nn.Dropout(layer.p, mode="upscale_in_train")
        case Flatten():
            return nn.Flatten()
        case ReLU():
            return nn.ReLU()
        case LeakyReLU() as layer:
            return CanonicalLeakyReLU(layer.negative_slope)
        case Tanh():
            return nn.Tanh()
        case Sigmoid():
            return nn.Sigmoid()
        case GELU():
            return nn.GELU(approximate=False)
        case Softmax():
            return nn.Softmax(axis=1)
        case Add():
            return Sum()
        case Concat() as layer:
            return Concatenation(layer.axis)
