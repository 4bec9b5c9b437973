"""The nodes of an architecture as MindSpore cells, and the cell that evaluates them.

A cell's ``construct`` is compiled from its source in graph mode, so it keeps to what MindSpore's parser knows. Defaults
of MindSpore's layers change between versions (bias of convolutions, padding modes, batch norm's momentum): every
argument is written out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from backends.mindspore import tokens
from backends.mindspore.norms import batch_norm, group_norm, layer_norm
from backends.mindspore.recurrent import GRU, LSTM, Rows
from backends.mindspore.tokens import dense
from backends.windows import divisors, is_symmetric
from specs import layers as L
from specs.layer_shapes import feature_axis
from specs.layers import Sides
from specs.nodes import INPUT, Node, Shape
from specs.windows import sides


class Network(nn.Cell):
    """Images [n, C, H, W] to logits [n, classes], node by node.

    ``cells`` holds the cell of every node by its name. ``dropout_factors``, where given, is one tensor [n, *shape] per
    dropout layer in network order, by which its input is multiplied in place of a draw.
    """

    def __init__(self, nodes: Sequence[Node], cells: dict[str, nn.Cell]) -> None:
        super().__init__()
        for name, cell in cells.items():
            setattr(self, name, cell)  # which also puts the name before those of the parameters
        positions = {name: position for position, name in enumerate((INPUT, *(node.name for node in nodes)))}
        self.layers = tuple(cells[node.name] for node in nodes)
        self.sources = tuple(tuple(positions[name] for name in node.inputs) for node in nodes)
        self.drops = tuple(isinstance(node.layer, L.Dropout) for node in nodes)

    def construct(self, images: Any, *dropout_factors: Any) -> Any:
        values: Any = (images,)
        used = 0
        for i in range(len(self.layers)):
            if self.drops[i] and len(dropout_factors) > 0:
                value = values[self.sources[i][0]] * dropout_factors[used]
                used += 1
            else:
                inputs: Any = ()
                for source in self.sources[i]:
                    inputs += (values[source],)
                value = self.layers[i](*inputs)
            values += (value,)
        return values[-1]


class Sum(nn.Cell):
    """The sum of two or more tensors of one shape."""

    def construct(self, x: Any, *others: Any) -> Any:
        for other in others:
            x = x + other
        return x


class Joined(nn.Cell):
    """Tensors joined along axis 1: channels, features or tokens."""

    def construct(self, *parts: Any) -> Any:
        return ops.cat(parts, axis=1)


class SeededDropout(nn.Cell):
    """Dropout from a generator of its own: layers of equal seeds would drop the same elements."""

    def __init__(self, p: float, seed: int, ordinal: int) -> None:
        super().__init__()
        self.dropout = ops.Dropout(keep_prob=1.0 - p, Seed0=seed, Seed1=ordinal)

    def construct(self, x: Any) -> Any:
        return self.dropout(x)[0] if self.training else x


class SpatialMean(nn.Cell):
    """[n, c, h, w] to [n, c]: MindSpore has no layer of its own for global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, x: Any) -> Any:
        return self.mean(x, (2, 3))


class Outside(nn.Cell):
    """Puts ``fill`` around images before a pooling, and multiplies what it gives by ``factors`` [h_out, w_out].

    By ``nn.Pad`` with zeros and ``frame`` [h, w], which is ``fill`` in what was added and 0 elsewhere: the gradient of
    ``ops.pad``, and so of ``nn.ConstantPad2d``, is wrong from the second call of a graph on.
    """

    def __init__(
        self, around: Sides, shape: Shape, fill: float, pool: nn.Cell, dtype: Any, factors: Any = None
    ) -> None:
        super().__init__()
        self.pad = nn.Pad(((0, 0), (0, 0), *around))
        frame = np.pad(np.zeros(shape[1:]), around, constant_values=fill)
        self.frame = ms.Tensor(frame, dtype) if fill else None
        self.pool = pool
        self.factors = None if factors is None else ms.Tensor(factors, dtype)

    def construct(self, x: Any) -> Any:
        padded = self.pad(x)
        y = self.pool(padded if self.frame is None else padded + self.frame)
        return y if self.factors is None else y * self.factors


class Elu(nn.Cell):
    """x where x > 0, else alpha * (exp(x) - 1): MindSpore's own takes alpha 1 alone.

    exp(x) - 1 as tanh(x / 2) * (exp(x) + 1), for MindSpore's expm1 leaves nothing of an x near 0.
    """

    def __init__(self, alpha: float, dtype: Any) -> None:
        super().__init__()
        self.alpha = ms.Tensor(alpha, dtype)
        self.tanh = PreciseTanh()

    def construct(self, x: Any) -> Any:
        below = ops.select(x > 0, ops.zeros_like(x), x)
        return ops.select(x > 0, x, self.alpha * self.tanh(below / 2) * (ops.exp(below) + 1))


class Relu6(nn.Cell):
    """min(max(x, 0), 6): the derivative of MindSpore's own at 6 is 1."""

    def construct(self, x: Any) -> Any:
        return ops.select(x >= 6, 6 * ops.ones_like(x), ops.relu(x))


class HardSwish(nn.Cell):
    """x * min(max(x + 3, 0), 6) / 6: the derivatives of MindSpore's own at -3 and 3 are those between them."""

    def construct(self, x: Any) -> Any:
        rising = ops.select(x >= 3, x, x * (x + 3) / 6)
        return ops.select(x <= -3, ops.zeros_like(x), rising)


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


def layer_cells(nodes: Sequence[Node], dtype: Any, seed: int) -> dict[str, nn.Cell]:
    """The cell of every node by its name, in network order, weights at 0, dropout drawing from ``seed``."""
    dropouts = [node.name for node in nodes if isinstance(node.layer, L.Dropout)]
    ordinals = {name: ordinal for ordinal, name in enumerate(dropouts, start=1)}
    return {node.name: _cell(node, dtype, (seed, ordinals.get(node.name, 0))) for node in nodes}


def _cell(node: Node, dtype: Any, seeds: tuple[int, int]) -> nn.Cell:
    match node.layer:
        case L.Conv2d() as layer:
            return _convolution(layer, node, dtype)
        case L.Linear() as layer:
            return dense(node.input_shape[-1], layer.out_features, bias=layer.bias, dtype=dtype)
        case L.MaxPool2d() as layer:
            return _max_pool(layer, node, dtype)
        case L.AvgPool2d() as layer:
            return _avg_pool(layer, node, dtype)
        case L.BatchNorm2d() as layer:
            return batch_norm(layer, node.input_shape[0], dtype)
        case L.GlobalAvgPool():
            return SpatialMean()
        case L.Dropout() as layer:
            return SeededDropout(layer.p, *seeds)
        case L.Flatten():
            return nn.Flatten(start_dim=1, end_dim=-1)
        case L.ReLU():
            return nn.ReLU()
        case L.LeakyReLU() as layer:
            return Leaky(layer.negative_slope, dtype)
        case L.Tanh():
            return PreciseTanh()
        case L.Sigmoid():
            return nn.Sigmoid()
        case L.GELU():
            return nn.GELU(approximate=False)
        case L.Softmax():
            return nn.Softmax(axis=feature_axis(node.output_shape))
        case L.ReLU6():
            return Relu6()
        case L.SiLU():
            return nn.SiLU()
        case L.ELU() as layer:
            return Elu(layer.alpha, dtype)
        case L.HardSwish():
            return HardSwish()
        case L.Rows():
            return Rows(node.output_shape)
        case L.LSTM() as layer:
            return LSTM(node.input_shape[1], layer, dtype)
        case L.GRU() as layer:
            return GRU(node.input_shape, layer, dtype)
        case L.Add():
            return Sum()
        case L.Concat():
            return Joined()
        case L.BatchNorm1d() as layer:
            return batch_norm(layer, node.input_shape[0], dtype)
        case L.LayerNorm() as layer:
            return layer_norm(layer, node.input_shape[-1], dtype)
        case L.GroupNorm() as layer:
            return group_norm(layer, node.input_shape, dtype)
        case L.ToTokens():
            return tokens.ToTokens(node.output_shape)
        case L.ClassToken():
            return tokens.ClassToken(node.input_shape[-1], dtype)
        case L.PositionEmbedding():
            return tokens.PositionEmbedding(node.input_shape, dtype)
        case L.MultiHeadAttention() as layer:
            return tokens.MultiHeadAttention(layer, node.input_shape, dtype)
        case L.TakeToken() as layer:
            return tokens.TakeToken(layer.index)
        case L.MeanTokens():
            return tokens.MeanTokens()


def _convolution(layer: L.Conv2d, node: Node, dtype: Any) -> nn.Cell:
    (top, bottom), (left, right) = sides(layer, node.input_shape)
    return nn.Conv2d(
        node.input_shape[0],
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        pad_mode="pad",
        padding=(top, bottom, left, right),
        dilation=layer.dilation,
        group=layer.groups,
        has_bias=layer.bias,
        weight_init="zeros",
        bias_init="zeros",
        data_format="NCHW",
        dtype=dtype,
    )


def _max_pool(layer: L.MaxPool2d, node: Node, dtype: Any) -> nn.Cell:
    around = sides(layer, node.input_shape)
    if not is_symmetric(around):
        plain = _max_pool(replace(layer, padding=(0, 0), ceil_mode=False), node, dtype)
        return Outside(around, node.input_shape, -math.inf, plain, dtype)
    if layer.padding == (0, 0) and dtype == ms.float32:  # without padding float64 is computed in float32
        return nn.MaxPool2d(layer.kernel_size, layer.stride, pad_mode="valid", data_format="NCHW")
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


def _avg_pool(layer: L.AvgPool2d, node: Node, dtype: Any) -> nn.Cell:
    around = sides(layer, node.input_shape)
    if not is_symmetric(around):
        factors = math.prod(layer.kernel_size) / divisors(layer, node.input_shape)
        plain = _avg_pool(replace(layer, padding=(0, 0), ceil_mode=False), node, dtype)
        return Outside(around, node.input_shape, 0.0, plain, dtype, factors)
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
