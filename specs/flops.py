"""What one layer costs: floating-point operations of the forward pass of one sample, a multiply-add counting as two."""

from __future__ import annotations

import math

from specs import layers as L
from specs.nodes import Shape

# Element-wise layers: FLOPs per element, transcendental functions counted as one operation.
_ELEMENTWISE_FLOPS: dict[type, int] = {
    L.ReLU: 1,
    L.LeakyReLU: 2,
    L.Tanh: 1,
    L.Sigmoid: 3,
    L.GELU: 4,
    L.Softmax: 4,
    L.BatchNorm2d: 4,
    L.Dropout: 2,
    L.Flatten: 0,
    L.Concat: 0,
    L.ReLU6: 2,
    L.SiLU: 4,
    L.ELU: 3,
    L.HardSwish: 5,
    L.Rows: 0,
    L.BatchNorm1d: 4,
    L.LayerNorm: 7,
    L.GroupNorm: 7,
    L.ToTokens: 0,
    L.ClassToken: 0,
    L.PositionEmbedding: 1,
    L.TakeToken: 0,
}

# Beside the products, per token and element of the state: biases, gates, the new state.
_STATE_FLOPS: dict[type, int] = {L.LSTM: 19, L.GRU: 17}


def product_flops(layer: L.Operation, shape: Shape, output: Shape) -> int:
    """Conv2d: 2 * C_in / groups * k_h * k_w per output element. Linear: 2 * in.

    LSTM and GRU: 2 * (features + hidden) per token and row of the weights. Multi-head attention: four linear maps, and
    two products of t x t scores by d features, causal or not. Every other layer: 0.
    """
    match layer:
        case L.Conv2d():
            return math.prod(output) * 2 * (shape[0] // layer.groups) * math.prod(layer.kernel_size)
        case L.Linear():
            return math.prod(output) * 2 * shape[-1]
        case L.MultiHeadAttention():
            return 4 * _linear_map(shape) + 4 * shape[0] * shape[0] * shape[1]
        case L.LSTM() | L.GRU():
            tokens, features = shape
            return tokens * 2 * layer.gates * layer.hidden * features + carried_flops(layer, shape)
        case _:
            return 0


def carried_flops(layer: L.Operation, shape: Shape) -> int:
    """The share of ``product_flops`` that multiplies what a recurrent layer carries from token to token; else 0."""
    match layer:
        case L.LSTM() | L.GRU():
            return shape[0] * 2 * layer.gates * layer.hidden * layer.hidden
        case _:
            return 0


def _linear_map(tokens: Shape) -> int:
    """Of every token into one of the same size."""
    return 2 * tokens[0] * tokens[1] ** 2


def backward_product_flops(layer: L.Operation, shape: Shape, output: Shape, *, to_input: bool) -> int:
    """Two products for one: the gradient of the weight, and ``to_input`` that of the input.

    Within attention all gradients are needed whatever is below it, but that of the input through q, k and v; what a
    recurrent layer carries from token to token always has a gradient.
    """
    forward = product_flops(layer, shape, output)
    if isinstance(layer, L.MultiHeadAttention):
        return 2 * forward - (0 if to_input else 3 * _linear_map(shape))
    return forward + (forward if to_input else carried_flops(layer, shape))


def forward_flops(layer: L.Operation, shapes: tuple[Shape, ...], output: Shape) -> int:
    """The product and 1 per output element for a bias; pooling: the window size per output; else per element."""
    elements = math.prod(output)
    match layer:
        case L.Conv2d() | L.Linear():
            return product_flops(layer, shapes[0], output) + elements * layer.bias
        case L.MaxPool2d() | L.AvgPool2d():
            return elements * math.prod(layer.kernel_size)
        case L.GlobalAvgPool() | L.MeanTokens():
            return math.prod(shapes[0])
        case L.MultiHeadAttention():  # scores are scaled (1) and go through a softmax (4)
            scores = layer.heads * output[0] ** 2
            return product_flops(layer, shapes[0], output) + 4 * elements * layer.bias + 5 * scores
        case L.Add():
            return elements * (len(shapes) - 1)
        case L.LSTM() | L.GRU():
            state = shapes[0][0] * layer.hidden
            return product_flops(layer, shapes[0], output) + state * _STATE_FLOPS[type(layer)]
        case _:
            return elements * _ELEMENTWISE_FLOPS[type(layer)]
