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
}

# Beside the products, per token and element of the state: biases, gates, the new state.
_STATE_FLOPS: dict[type, int] = {L.LSTM: 19, L.GRU: 17}


def product_flops(layer: L.Operation, shape: Shape, output: Shape) -> int:
    """Conv2d: 2 * C_in / groups * k_h * k_w per output element. Linear: 2 * in.

    LSTM and GRU: 2 * (features + hidden) per token and row of the weights. Every other layer: 0.
    """
    match layer:
        case L.Conv2d():
            return math.prod(output) * 2 * (shape[0] // layer.groups) * math.prod(layer.kernel_size)
        case L.Linear():
            return math.prod(output) * 2 * shape[0]
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


def forward_flops(layer: L.Operation, shapes: tuple[Shape, ...], output: Shape) -> int:
    """The product and 1 per output element for a bias; pooling: the window size per output; else per element."""
    elements = math.prod(output)
    match layer:
        case L.Conv2d() | L.Linear():
            return product_flops(layer, shapes[0], output) + elements * layer.bias
        case L.MaxPool2d() | L.AvgPool2d():
            return elements * math.prod(layer.kernel_size)
        case L.GlobalAvgPool():
            return math.prod(shapes[0])
        case L.Add():
            return elements * (len(shapes) - 1)
        case L.LSTM() | L.GRU():
            state = shapes[0][0] * layer.hidden
            return product_flops(layer, shapes[0], output) + state * _STATE_FLOPS[type(layer)]
        case _:
            return elements * _ELEMENTWISE_FLOPS[type(layer)]
