"""What one layer costs: floating-point operations of the forward pass of one sample, a multiply-add counting as two."""

from __future__ import annotations

import math

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
    Operation,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from specs.nodes import Shape

# Element-wise layers: FLOPs per element, transcendental functions counted as one operation.
_ELEMENTWISE_FLOPS: dict[type, int] = {
    ReLU: 1,
    LeakyReLU: 2,
    Tanh: 1,
    Sigmoid: 3,
    GELU: 4,
    Softmax: 4,
    BatchNorm2d: 4,
    Dropout: 2,
    Flatten: 0,
    Concat: 0,
}


def product_flops(layer: Operation, shape: Shape, output: Shape) -> int:
    """Conv2d: 2 * C_in * k_h * k_w per output element. Linear: 2 * in. Every other layer: 0."""
    match layer:
        case Conv2d():
            return math.prod(output) * 2 * shape[0] * math.prod(layer.kernel_size)
        case Linear():
            return math.prod(output) * 2 * shape[0]
        case _:
            return 0


def forward_flops(layer: Operation, shapes: tuple[Shape, ...], output: Shape) -> int:
    """The product and 1 per output element for a bias; pooling: the window size per output; else per element."""
    elements = math.prod(output)
    match layer:
        case Conv2d() | Linear():
            return product_flops(layer, shapes[0], output) + elements * layer.bias
        case MaxPool2d() | AvgPool2d():
            return elements * math.prod(layer.kernel_size)
        case GlobalAvgPool():
            return math.prod(shapes[0])
        case Add():
            return elements * (len(shapes) - 1)
        case _:
            return elements * _ELEMENTWISE_FLOPS[type(layer)]
