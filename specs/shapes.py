"""Shape, parameter and FLOP inference: what every layer of an architecture takes, gives, owns and costs.

Shapes leave the batch axis out. FLOPs are per sample, a multiply-add counting as two.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShapedLayer:
    """One layer in its place: its name within the network and everything that follows from its input shape.

    ``name`` is the kind and its ordinal among layers of that kind, from 1: conv2d_1, linear_2. ``parameters`` (trained)
    and ``buffers`` (batch norm's running statistics) map full canonical names such as ``conv2d_1.weight`` to shapes.
    ``product_flops`` is the share of ``forward_flops`` that is a matrix product, without biases.
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: dict[str, Shape]
    buffers: dict[str, Shape]
    forward_flops: int
    product_flops: int

    @property
    def parameter_count(self) -> int:
        """Number of trained scalars."""
        return sum(math.prod(shape) for shape in self.parameters.values())


class ShapeMismatch(RequestError):
    """A layer does not suit the shape it is given. ``position`` is the layer's, counted from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def infer(architecture: Architecture) -> tuple[ShapedLayer, ...]:
    """The layers that training computes, in order, shapes resolved.

    A trailing softmax is left out: the loss takes logits, and softmax is applied at prediction only.
    Raises ShapeMismatch, a RequestError naming the layer and the shapes, when one does not fit.
    """
    layers = architecture.layers[:-1] if has_trailing_softmax(architecture) else architecture.layers
    ordinals: Counter[str] = Counter()
    shape: Shape = architecture.input
    shaped = []
    for position, layer in enumerate(layers, start=1):
        ordinals[layer.kind] += 1
        name = f"{layer.kind}_{ordinals[layer.kind]}"
        try:
            output = output_shape(layer, shape)
        except ValueError as error:
            raise ShapeMismatch(f"{architecture.name}: layer {position} ({layer.kind}): {error}", position) from None
        shaped.append(
            ShapedLayer(
                name=name,
                layer=layer,
                input_shape=shape,
                output_shape=output,
                parameters={f"{name}.{part}": s for part, s in _parameters(layer, shape).items()},
                buffers={f"{name}.{part}": s for part, s in _buffers(layer, shape).items()},
                forward_flops=_forward_flops(layer, shape, output),
                product_flops=_product_flops(layer, shape, output),
            )
        )
        shape = output
    if shape != (architecture.classes,):
        raise ShapeMismatch(
            f"{architecture.name}: the last layer gives shape {list(shape)}, "
            f"but {architecture.classes} classes need [{architecture.classes}]",
            len(architecture.layers),
        )
    return tuple(shaped)


def has_trailing_softmax(architecture: Architecture) -> bool:
    """Whether the last layer is a softmax, which is applied at prediction only."""
    return isinstance(architecture.layers[-1], Softmax)


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Canonical name to shape of every trained parameter, in network order."""
    return {name: shape for layer in infer(architecture) for name, shape in layer.parameters.items()}


def buffer_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Canonical name to shape of every buffer (running mean and variance), in network order."""
    return {name: shape for layer in infer(architecture) for name, shape in layer.buffers.items()}


def parameter_count(architecture: Architecture) -> int:
    """Number of trained scalars of the whole network."""
    return sum(layer.parameter_count for layer in infer(architecture))


def forward_flops(architecture: Architecture) -> int:
    """FLOPs of one forward pass of one sample."""
    return sum(layer.forward_flops for layer in infer(architecture))


def train_flops(architecture: Architecture) -> int:
    """FLOPs of forward and backward of one sample, matrix products alone: what torch.utils.flop_counter counts.

    Biases, element-wise work, pooling and the optimizer are left out: they are bound by memory.
    """
    forward = sum(layer.product_flops for layer in infer(architecture))
    return forward + sum(backward_flops(architecture))


def backward_flops(architecture: Architecture) -> tuple[int, ...]:
    """FLOPs of the backward pass of one sample, layer by layer, matrix products alone.

    A convolution or linear layer costs its product once for the weight gradient and, where a layer below has
    parameters to train, once more for the input gradient.
    """
    costs = []
    trained_below = False
    for layer in infer(architecture):
        costs.append(layer.product_flops * (2 if trained_below else 1))
        trained_below = trained_below or bool(layer.parameters)
    return tuple(costs)


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Shape after ``layer``. Raises ValueError when ``shape`` does not suit it."""
    match layer:
        case Conv2d():
            return (layer.out_channels, *_windows(layer, _image(shape)))
        case MaxPool2d() | AvgPool2d():
            return (shape[0], *_windows(layer, _image(shape)))
        case GlobalAvgPool():
            return _image(shape)[:1]
        case BatchNorm2d():
            return _image(shape)
        case Flatten():
            return (math.prod(shape),)
        case Linear():
            if len(shape) != 1:
                raise ValueError(f"needs features, got shape {list(shape)}; put a flatten before it")
            return (layer.out_features,)
        case ReLU() | LeakyReLU() | Tanh() | Sigmoid() | GELU() | Softmax() | Dropout():
            return shape


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"needs an image [channels, height, width], got shape {list(shape)}")
    return shape


def _windows(layer: Conv2d | MaxPool2d | AvgPool2d, shape: Shape) -> tuple[int, int]:
    """floor((size + 2 * padding - kernel) / stride) + 1 for height and width."""
    sizes = []
    for axis, size, kernel, stride, padding in zip(
        ("height", "width"), shape[1:], layer.kernel_size, layer.stride, layer.padding, strict=True
    ):
        if size + 2 * padding < kernel:
            raise ValueError(
                f"kernel {list(layer.kernel_size)} with padding {list(layer.padding)} does not fit "
                f"input {list(shape)} ({axis} {size})"
            )
        sizes.append((size + 2 * padding - kernel) // stride + 1)
    return sizes[0], sizes[1]


def _parameters(layer: Layer, shape: Shape) -> dict[str, Shape]:
    match layer:
        case Conv2d():
            weight: Shape = (layer.out_channels, shape[0], *layer.kernel_size)
            return {"weight": weight} | ({"bias": (layer.out_channels,)} if layer.bias else {})
        case Linear():
            weight = (layer.out_features, shape[0])
            return {"weight": weight} | ({"bias": (layer.out_features,)} if layer.bias else {})
        case BatchNorm2d():
            return {"gamma": (shape[0],), "beta": (shape[0],)}
        case _:
            return {}


def _buffers(layer: Layer, shape: Shape) -> dict[str, Shape]:
    if isinstance(layer, BatchNorm2d):
        return {"running_mean": (shape[0],), "running_variance": (shape[0],)}
    return {}


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
}


def _product_flops(layer: Layer, shape: Shape, output: Shape) -> int:
    """Conv2d: 2 * C_in * k_h * k_w per output element. Linear: 2 * in. Every other layer: 0."""
    match layer:
        case Conv2d():
            return math.prod(output) * 2 * shape[0] * math.prod(layer.kernel_size)
        case Linear():
            return math.prod(output) * 2 * shape[0]
        case _:
            return 0


def _forward_flops(layer: Layer, shape: Shape, output: Shape) -> int:
    """The product and 1 per output element for a bias; pooling: the window size per output; else per element."""
    elements = math.prod(output)
    match layer:
        case Conv2d() | Linear():
            return _product_flops(layer, shape, output) + elements * layer.bias
        case MaxPool2d() | AvgPool2d():
            return elements * math.prod(layer.kernel_size)
        case GlobalAvgPool():
            return math.prod(shape)
        case _:
            return elements * _ELEMENTWISE_FLOPS[type(layer)]
