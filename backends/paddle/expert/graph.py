"""A network's nodes written as operations of a static program of Paddle's older graph, images in N, H, W, C order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import paddle
from paddle.nn import functional

from backends.paddle.expert.operations import append
from backends.paddle.norms import batch_norm
from backends.rewrites import relu_after_max_pool
from backends.windows import is_symmetric
from specs import layers as L
from specs.nodes import INPUT, Node, consumers

# Paddle's functions for these no longer write the older graph: the names of their operations.
_OPERATIONS = {L.Tanh: "tanh", L.Sigmoid: "sigmoid", L.GELU: "gelu"}

_WRITTEN = (
    *(L.Linear, L.GlobalAvgPool, L.BatchNorm2d, L.Dropout, L.Flatten, L.ReLU, L.LeakyReLU, L.Tanh, L.Sigmoid, L.GELU),
    *(L.Softmax, L.Add, L.Concat, L.BatchNorm1d, L.LayerNorm, L.GroupNorm),
)

# Where the axes of [N, C, H, W] are among [N, H, W, C].
_AXES = (0, 3, 1, 2)


def is_written(layer: L.Operation) -> bool:
    """Whether a layer is among those that are written here, with the options that it has."""
    match layer:
        case L.Conv2d():
            return (layer.groups, layer.dilation) == (1, (1, 1)) and is_symmetric(L.both_sides(layer.padding))
        case L.MaxPool2d() | L.AvgPool2d():
            return not layer.ceil_mode and is_symmetric(L.both_sides(layer.padding))
        case _:
            return isinstance(layer, _WRITTEN)


class Graph:
    """Writes the nodes of a network into the program that is being made.

    Max pooling goes ahead of a bias and a ReLU before it that nothing else reads: both are monotonic, so that
    max(relu(x + b)) = relu(max(x) + b), gradients included, with fewer cells to compute.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = relu_after_max_pool(nodes)
        uses = consumers(self._nodes)
        biased = {n.name for n in nodes if isinstance(n.layer, L.Conv2d) and n.layer.bias and uses[n.name] == 1}
        # The pooling after which a convolution's bias is added, by the convolution's name and the other way round.
        self._pooled = {
            node.inputs[0]: node.name
            for node in self._nodes
            if isinstance(node.layer, L.MaxPool2d)
            and node.inputs[0] in biased
            and math.prod(node.output_shape) < math.prod(node.input_shape)
        }
        self._shifted = {pooling: convolution for convolution, pooling in self._pooled.items()}

    def write(self, images: Any, tensors: Mapping[str, Any], factors: Mapping[str, Any] | None, *, train: bool) -> Any:
        """The logits [N, classes] of ``images`` [N, H, W, C].

        ``tensors`` are the program's parameters and buffers by canonical name. ``factors`` are what dropout layers
        multiply with, in the order of axes of their input, in place of Paddle's own dropout.
        """
        values = {INPUT: images}
        for node in self._nodes:
            inputs = [values[name] for name in node.inputs]
            if isinstance(node.layer, L.Dropout) and factors is not None:
                values[node.name] = append("elementwise_mul", {"X": inputs, "Y": [factors[node.name]]}, inputs[0].shape)
            else:
                parts = {name.rpartition(".")[2]: tensors[name] for name in (*node.parameters, *node.buffers)}
                values[node.name] = self._node(node, inputs, parts, train=train)
            if convolution := self._shifted.get(node.name):
                values[node.name] = _shift(values[node.name], tensors[f"{convolution}.bias"])
        return values[self._nodes[-1].name]

    def _node(self, node: Node, inputs: list[Any], parts: dict[str, Any], *, train: bool) -> Any:
        x, images = inputs[0], len(node.output_shape) == 3
        match node.layer:
            case L.Conv2d() as layer:
                stride, padding = list(layer.stride), list(layer.padding)
                y = functional.conv2d(x, parts["weight"], stride=stride, padding=padding, data_format="NHWC")
                return _shift(y, parts["bias"]) if layer.bias and node.name not in self._pooled else y
            case L.Linear():
                return functional.linear(x, parts["weight"], parts.get("bias"))
            case L.MaxPool2d() as layer:
                return functional.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding, data_format="NHWC")
            case L.AvgPool2d() as layer:
                exclusive, window = not layer.count_include_pad, (layer.kernel_size, layer.stride, layer.padding)
                return functional.avg_pool2d(x, *window, exclusive=exclusive, data_format="NHWC")
            case L.GlobalAvgPool():
                return x.mean((1, 2))
            case L.BatchNorm2d() as layer:
                statistics = parts["running_mean"], parts["running_variance"]
                trained, epsilon = (parts["gamma"], parts["beta"]), layer.epsilon
                if train:
                    # Channels last, Paddle's kernel adds one value after another, hundreds of times less exact.
                    y = batch_norm(paddle.transpose(x, _AXES), statistics, trained, layer.momentum, epsilon)
                    return paddle.transpose(y, [0, 2, 3, 1])
                return functional.batch_norm(x, *statistics, *trained, epsilon=epsilon, data_format="NHWC")
            case L.Dropout() as layer:
                return functional.dropout(x, layer.p, training=train)
            case L.Flatten():
                return paddle.flatten(paddle.transpose(x, _AXES) if len(node.input_shape) == 3 else x, 1)
            case L.ReLU():
                return functional.relu(x)
            case L.LeakyReLU(negative_slope=slope):
                # slope * x + (1 - slope) * relu(x): Paddle's own has derivative 1 at 0.
                summands = [append("scale", {"X": [x]}, x.shape, scale=slope)]
                summands.append(append("scale", {"X": [functional.relu(x)]}, x.shape, scale=1 - slope))
                return append("sum", {"X": summands}, x.shape)
            case L.Tanh() | L.Sigmoid() | L.GELU():
                return append(_OPERATIONS[type(node.layer)], {"X": [x]}, x.shape)
            case L.Softmax():
                return functional.softmax(x, -1)
            case L.Add():
                for summand in inputs[1:]:
                    x = append("elementwise_add", {"X": [x], "Y": [summand]}, x.shape, axis=-1)
                return x
            case L.Concat() as layer:
                return paddle.concat(inputs, _AXES[layer.axis] if images else layer.axis)
            case L.BatchNorm1d() as layer:
                statistics = parts["running_mean"], parts["running_variance"]
                trained, epsilon = (parts["gamma"], parts["beta"]), layer.epsilon
                if train:
                    return batch_norm(x, statistics, trained, layer.momentum, epsilon)
                return functional.batch_norm(x, *statistics, *trained, epsilon=epsilon)
            case L.LayerNorm() as layer:
                return functional.layer_norm(x, x.shape[-1:], parts["gamma"], parts["beta"], layer.epsilon)
            case L.GroupNorm() as layer:
                size = math.prod(node.input_shape) // layer.groups
                groups = paddle.transpose(x, _AXES).reshape([-1, size])
                normed = functional.layer_norm(groups, [size], epsilon=layer.epsilon)
                y = paddle.transpose(normed.reshape([x.shape[0], *node.input_shape]), [0, 2, 3, 1])
                scaled = append("elementwise_mul", {"X": [y], "Y": [parts["gamma"]]}, y.shape, axis=-1)
                return _shift(scaled, parts["beta"])
        raise AssertionError(f"{node.name} is not written")


def _shift(x: Any, bias: Any) -> Any:
    return append("elementwise_add", {"X": [x], "Y": [bias]}, x.shape, axis=-1)
