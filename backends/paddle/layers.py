"""The layers of the specs as layers of ``paddle.nn``, or in its place where Paddle's own computes something else."""

from __future__ import annotations

import math

import paddle
from paddle import nn

from backends.paddle import norms, recurrent, tokens
from backends.windows import divisors, is_symmetric
from specs import layers as L
from specs.layer_shapes import feature_axis
from specs.layers import both_sides
from specs.nodes import Node
from specs.windows import Windowed, sides


def create(node: Node) -> nn.Layer:
    """The layer of a node, in Paddle's default dtype; Add and Concat take several inputs."""
    double = paddle.get_default_dtype() == "float64"
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
            return nn.Linear(node.input_shape[-1], layer.out_features, bias_attr=None if layer.bias else False)
        case L.MaxPool2d() as layer:
            return nn.MaxPool2D(layer.kernel_size, layer.stride, _sides(node, layer))
        case L.AvgPool2d() as layer:
            return _average_pool(node, layer)
        case L.GlobalAvgPool():
            return GlobalAvgPool2D()
        case L.BatchNorm2d() as layer:
            norm = norms.BatchNorm2D64 if double else norms.BatchNorm2D
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
        case L.BatchNorm1d() as layer:
            norm = norms.BatchNorm1D64 if double else norms.BatchNorm1D
            return norm(node.input_shape[0], 1 - layer.momentum, layer.epsilon)
        case L.LayerNorm() as layer:
            exact = double or layer.epsilon > norms.GREATEST_EPSILON
            return (norms.ExactLayerNorm if exact else nn.LayerNorm)(node.input_shape[-1], layer.epsilon)
        case L.GroupNorm() as layer:
            return norms.ExactGroupNorm(layer.groups, node.input_shape[0], layer.epsilon)
        case L.ToTokens():
            return tokens.ToTokens()
        case L.ClassToken():
            return tokens.ClassToken(node.input_shape[-1])
        case L.PositionEmbedding():
            return tokens.PositionEmbedding(*node.input_shape)
        case L.MultiHeadAttention() as layer:
            return tokens.MultiHeadAttention(node.input_shape[-1], layer)
        case L.TakeToken() as layer:
            return tokens.TakeToken(layer.index)
        case L.MeanTokens():
            return tokens.MeanTokens()


def _sides(node: Node, layer: Windowed) -> list[int]:
    """What stands around the image, as Paddle has it: top, bottom, left, right."""
    rows, columns = sides(layer, node.input_shape)
    return [*rows, *columns]


def _average_pool(node: Node, layer: L.AvgPool2d) -> nn.Layer:
    beyond = sides(layer, node.input_shape) != both_sides(layer.padding)  # which Paddle would count with the padding
    # At the bottom and on the right Paddle counts as much padding as there is at the top and on the left, and no more.
    miscounted = beyond or not is_symmetric(both_sides(layer.padding))
    if paddle.get_default_dtype() == "float64" or (layer.count_include_pad and miscounted):
        return SummedAvgPool2D(node, layer)
    return nn.AvgPool2D(layer.kernel_size, layer.stride, _sides(node, layer), exclusive=not layer.count_include_pad)


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
