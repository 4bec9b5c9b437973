"""The layers of the specs as layers of ``paddle.nn``, or in its place where Paddle's own computes something else."""

from __future__ import annotations

import math
from typing import Any

import paddle
from paddle import nn

from backends.paddle import recurrent
from backends.windows import divisors
from specs import layers as L
from specs.errors import RequestError
from specs.layer_shapes import feature_axis
from specs.layers import both_sides
from specs.nodes import Node
from specs.windows import Windowed, sides


def create(node: Node) -> nn.Layer:
    """The layer of a node, in Paddle's default dtype; Add and Concat take several inputs."""
    match node.layer:
        case L.Conv2d() as layer:
            return nn.Conv2D(
                node.input_shape[0],
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=_sides(node, layer),
                dilation=layer.dilation,
                groups=layer.groups,
                bias_attr=None if layer.bias else False,
            )
        case L.Linear() as layer:
            return nn.Linear(node.input_shape[0], layer.out_features, bias_attr=None if layer.bias else False)
        case L.MaxPool2d() as layer:
            return nn.MaxPool2D(layer.kernel_size, layer.stride, _sides(node, layer))
        case L.AvgPool2d() as layer:
            return _average_pool(node, layer)
        case L.GlobalAvgPool():
            return GlobalAvgPool2D()
        case L.BatchNorm2d() as layer:
            norm = BatchNorm2D64 if paddle.get_default_dtype() == "float64" else BatchNorm2D
            # Paddle's momentum is the weight of the old value.
            return norm(node.input_shape[0], 1 - layer.momentum, layer.epsilon)
        case L.Dropout() as layer:
            return nn.Dropout(layer.p, mode="upscale_in_train")
        case L.Flatten():
            return nn.Flatten()
        case L.ReLU():
            return nn.ReLU()
        case L.LeakyReLU() as layer:
            return CanonicalLeakyReLU(layer.negative_slope)
        case L.Tanh():
            return nn.Tanh()
        case L.Sigmoid():
            return nn.Sigmoid()
        case L.GELU():
            return nn.GELU(approximate=False)
        case L.Softmax():
            return nn.Softmax(axis=feature_axis(node.output_shape))
        case L.ReLU6():
            return nn.ReLU6()
        case L.SiLU():
            return SiLU()
        case L.ELU() as layer:
            return CanonicalELU(layer.alpha)
        case L.HardSwish():
            return nn.Hardswish()
        case L.Rows():
            return recurrent.Rows()
        case L.LSTM() as layer:
            return recurrent.LSTM(node.input_shape[1], layer)
        case L.GRU() as layer:
            return recurrent.GRU(node.input_shape[1], layer)
        case L.Add():
            return Sum()
        case L.Concat() as layer:
            return Concatenation(layer.axis)


def _sides(node: Node, layer: Windowed) -> list[int]:
    """What stands around the image, as Paddle has it: top, bottom, left, right."""
    rows, columns = sides(layer, node.input_shape)
    return [*rows, *columns]


def _average_pool(node: Node, layer: L.AvgPool2d) -> nn.Layer:
    beyond = sides(layer, node.input_shape) != both_sides(layer.padding)  # which Paddle would count with the padding
    if paddle.get_default_dtype() == "float64" or (layer.count_include_pad and beyond):
        return SummedAvgPool2D(node, layer)
    return nn.AvgPool2D(layer.kernel_size, layer.stride, _sides(node, layer), exclusive=not layer.count_include_pad)


class BatchNorm2D(nn.BatchNorm2D):  # type: ignore[misc]  # Paddle is untyped here
    """Paddle's batch norm, but with the unbiased variance of the batch in the running statistic."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to the same shape; in training mode moves the running statistics."""
        if not self.training:
            return super().forward(input)
        statistics, trained = (self._mean, self._variance), (self.weight, self.bias)
        return batch_norm(input, statistics, trained, 1 - self._momentum, self._epsilon)


class BatchNorm2D64(nn.BatchNorm2D):  # type: ignore[misc]
    """Batch norm in tensor operations, for float64: Paddle's kernel takes epsilon in single precision."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float64[N, C, H, W] to the same shape; in training mode moves the running statistics."""
        mean, variance = (statistic.reshape([1, -1, 1, 1]) for statistic in (self._mean, self._variance))
        if self.training:
            mean = input.mean((0, 2, 3), keepdim=True)
            variance = (input - mean).square().mean((0, 2, 3), keepdim=True)
            _move((self._mean, self._variance), (mean, variance), 1 - self._momentum, _per_channel(input, self._mean))
        gamma, beta = (trained.reshape([1, -1, 1, 1]) for trained in (self.weight, self.bias))
        return (input - mean) / paddle.sqrt(variance + self._epsilon) * gamma + beta


def batch_norm(
    x: Any,
    statistics: tuple[Any, Any],
    trained: tuple[Any, Any],
    momentum: float,
    epsilon: float,
) -> Any:
    """``x`` normalised by the batch; moves ``statistics``, the running mean and variance float[C], as the specs do.

    ``trained`` are gamma and beta; ``momentum`` is the weight of the new value. Paddle's kernel would take the biased
    variance into the running one, so it is given momentum 0 and zeros: it then hands out the batch's own statistics.
    Raises RequestError for a batch of one value per channel.
    """
    count = _per_channel(x, statistics[0])
    mean, variance = (paddle.zeros_like(statistic) for statistic in statistics)
    output = nn.functional.batch_norm(x, mean, variance, *trained, training=True, momentum=0.0, epsilon=epsilon)
    _move(statistics, (mean, variance), momentum, count)
    return output


def _per_channel(x: Any, statistic: Any) -> int:
    """How many values each channel of ``x`` has. Raises RequestError for one alone."""
    count = math.prod(x.shape) // statistic.shape[0]
    if count < 2:
        raise RequestError(f"batch_norm2d: training needs more than one value per channel, got {list(x.shape)}")
    return count


def _move(statistics: tuple[Any, Any], batch: tuple[Any, Any], momentum: float, count: int) -> None:
    """Move the running mean and variance by a batch's mean and biased variance of ``count`` values."""
    unbiased = batch[0], batch[1] * (count / (count - 1))
    with paddle.no_grad():
        for running, new in zip(statistics, unbiased, strict=True):
            paddle.assign(running * (1 - momentum) + new.reshape(running.shape) * momentum, running)


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


class SiLU(nn.Layer):  # type: ignore[misc]
    """x * sigmoid(x); the gradient of Paddle's own is NaN below -88 in float32."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Any shape."""
        return x * nn.functional.sigmoid(x)


class CanonicalELU(nn.Layer):  # type: ignore[misc]
    """ELU; Paddle's own takes alpha in single precision, and exp(x) - 1 loses an x near 0."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self._alpha = alpha

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """x where x > 0, else alpha * (exp(x) - 1); any shape."""
        below = paddle.where(x > 0, paddle.zeros_like(x), x)
        return paddle.where(x > 0, x, self._alpha * paddle.expm1(below))


class SummedAvgPool2D(nn.Layer):  # type: ignore[misc]
    """Average pooling as sums of windows: in float64 the gradient of Paddle's kernel divides in single precision."""

    def __init__(self, node: Node, layer: L.AvgPool2d) -> None:
        super().__init__()
        (top, bottom), (left, right) = sides(layer, node.input_shape)
        self._windows = (list(layer.kernel_size), list(layer.stride), [top, left, bottom, right])
        self._sizes = [math.prod(layer.kernel_size), *node.output_shape[1:]]
        self._divisors = paddle.to_tensor(divisors(layer, node.input_shape), paddle.get_default_dtype())

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to the pooled size."""
        cells = nn.functional.unfold(x, *self._windows).reshape([*x.shape[:2], *self._sizes])
        return cells.sum(2) / self._divisors
